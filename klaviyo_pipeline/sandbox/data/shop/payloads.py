"""Event properties, in the words of the integrations that send them."""

from dataclasses import dataclass
from typing import Any

from klaviyo_pipeline.sandbox.data.rows import Attribution, Campaign, Flow, Profile
from klaviyo_pipeline.sandbox.data.shop.chance import Chance
from klaviyo_pipeline.sandbox.data.shop.words import CLIENTS, PLACES, PRODUCTS, STREETS, USER_AGENTS, Product

Properties = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sending:
    """What sent a message: a campaign or a flow."""

    name: str
    subject: str
    message_id: str
    channel: str
    campaign_id: str | None = None
    flow_id: str | None = None

    @classmethod
    def of_campaign(cls, campaign: Campaign) -> "Sending":
        """A campaign's first message."""
        message = campaign.messages[0]
        subject = str(message.content.get("subject") or message.content.get("body"))
        return cls(campaign.name, subject, message.id, campaign.channel, campaign_id=campaign.id)

    @classmethod
    def of_flow(cls, flow: Flow, message_id: str) -> "Sending":
        """One of a flow's mails."""
        return cls(f"{flow.name}, mail 1", f"{flow.name} for you", message_id, "email", flow_id=flow.id)

    def attribution(self, attribution_id: str, event_id: str) -> Attribution:
        """That something is owed to this, by the event that shows it."""
        return Attribution(
            id=attribution_id,
            attributed_event_id=event_id,
            campaign_id=self.campaign_id,
            campaign_message_id=self.message_id if self.campaign_id else None,
            flow_id=self.flow_id,
            flow_message_id=self.message_id if self.flow_id else None,
        )

    def properties(self, profile: Profile) -> Properties:
        """What every event of the sending says of it."""
        said: Properties = {
            "Campaign Name": self.name,
            "$message": self.message_id,
            "$message_interaction": self.message_id,
            "$campaign_channel": self.channel,
            "$_cohort$message_send_cohort": f"{self.message_id}:{profile.id[-4:]}",
        }
        if self.flow_id:
            said["$flow"] = self.flow_id
            said["$flow_channel"] = self.channel
        return said


def mail(chance: Chance, sending: Sending, profile: Profile, what: str) -> Properties:
    """A mail received, opened, clicked, bounced or reported."""
    email = profile.email or "unknown@example.com"
    client, kind, browser, system = chance.one_of(CLIENTS)
    said: Properties = {
        "Recipient Email Address": email,
        "Email Domain": email.partition("@")[2],
        "Subject": sending.subject,
        **sending.properties(profile),
        "Inbox Provider": client,
        "$ESP": 10,
        "Preview Text": f"{sending.subject}. Only at Nordhavn Supply, while stocks last.",
        "From Address": "hello@shop.example.com",
        "Sending Domain": "send.shop.example.com",
        "Transmission ID": f"{chance.getrandbits(192):048x}",
        "Web View": f"https://web.shop.example.com/web-view?c={sending.message_id}&m={chance.getrandbits(256):064x}",
        "List-Unsubscribe": f"<https://manage.shop.example.com/u?p={profile.id}&a=NrdHvn&m={sending.message_id}>",
        "Experiences": [{"name": "A/B", "variation": None, "sent": True}],
        "Estimated Reach": {"delivered": True, "gateway": "mta-3", "pool": "shared-eu", "attempt": 1},
    }
    if what in ("Opened", "Clicked"):
        said |= {
            "Client Name": browser,
            "Client Type": kind,
            "Client OS": system,
            "Client OS Family": system,
            "Client Canonical": f"{browser} on {system}",
            "User Agent": chance.one_of(USER_AGENTS),
            "IP Country": chance.one_of(PLACES).country,
        }
    if what == "Opened":
        said["Apple Privacy Open"] = client == "Apple Mail"
    if what == "Clicked":
        product = chance.one_of(PRODUCTS)
        said["URL"] = (
            f"https://shop.example.com/products/{product.slug}?utm_source=Klaviyo&utm_medium=email"
            f"&utm_campaign={sending.message_id}&_kx={profile.id.lower()}.{sending.message_id[:6]}"
        )
        said["Bot Click"] = False
    if what == "Bounced":
        said["Bounce Type"] = "Hard" if chance.random() < 0.3 else "Soft"
    return said


def text_or_push(chance: Chance, sending: Sending, profile: Profile, what: str) -> Properties:
    """A text message or a push notification received or clicked."""
    said: Properties = {
        **sending.properties(profile),
        "Message Name": sending.name,
        "Message Body": sending.subject,
        "Message Format": "SMS" if sending.channel == "sms" else "Push",
        "Message Type": "campaign",
        "Transmission ID": f"{chance.getrandbits(192):048x}",
        "Gateway Response": {"code": 0, "text": "accepted for delivery", "route": "eu-direct", "segments": 1},
        "Consent": {"method": "FORM", "source": "checkout", "recorded": True, "double_opt_in": False},
        "Link Tracking": f"https://nrdhvn.example/t/{chance.getrandbits(256):064x}",
        "Quiet Hours": {"applied": False, "from": "20:00", "to": "11:00", "timezone": "recipient"},
    }
    if sending.channel == "sms":
        said |= {"To Number": profile.phone_number, "From Number": "+15555550100", "$usage_amount": 0.012}
    else:
        said |= {"OS Name": chance.one_of(("ios", "android")), "App Version": "4.2.0", "Device": "phone"}
    if what == "Clicked":
        said["URL"] = f"https://nrdhvn.example/{sending.message_id[:6].lower()}"
    return said


def order(chance: Chance, number: int) -> Properties:
    """An order as Shopify's integration writes it."""
    items = [_item(chance, chance.early(PRODUCTS)) for _ in range(1 + int(chance.random() ** 2 * 4))]
    total = round(sum(item["Quantity"] * item["Item Price"] for item in items), 2)
    discount = round(total * 0.2, 2) if chance.random() < 0.2 else 0
    place = chance.early(PLACES)
    address = {
        "Address1": f"{chance.one_of(STREETS)} {int(chance.random() * 200) + 1}",
        "City": place.city,
        "Region": place.region,
        "Zip": place.zip,
        "Country": place.country,
    }
    return {
        "$event_id": f"{5_400_000_000_000 + number}",
        "$value": round(total - discount, 2),
        "$value_currency": "EUR",
        "OrderId": f"#{number}",
        "ItemNames": [item["ProductName"] for item in items],
        "Categories": sorted({category for item in items for category in item["Categories"]}),
        "Item Count": sum(item["Quantity"] for item in items),
        "Discount Codes": ["WELCOME20"] if discount else [],
        "Total Discounts": discount,
        "Source Name": "web",
        "Tags": [],
        "Items": items,
        "ShippingAddress": address,
        "BillingAddress": address,
        "$extra": {"currency": "EUR", "payment_gateway_names": ["shopify_payments"], "note": None},
    }


def _item(chance: Chance, product: Product) -> Properties:
    return {
        "ProductID": product.sku,
        "SKU": product.sku,
        "ProductName": product.name,
        "Quantity": 1 + int(chance.random() ** 3 * 3),
        "Item Price": product.price,
        "Categories": list(product.categories),
        "ProductURL": f"https://shop.example.com/products/{product.slug}",
        "ImageURL": f"https://cdn.shop.example.com/{product.slug}.jpg",
        "Variant Name": chance.one_of(("S", "M", "L", "XL")),
    }


def ordered_product(bought: Properties, item: Properties) -> Properties:
    """One item of an order, an event of its own."""
    return {
        "$event_id": f"{bought['$event_id']}_{item['SKU']}",
        "$value": round(item["Quantity"] * item["Item Price"], 2),
        "$value_currency": "EUR",
        "OrderId": bought["OrderId"],
        **item,
        "Vendor": "Nordhavn Supply",
        "Collections": [f"{category} / all seasons" for category in item["Categories"]],
        "Description": f"{item['ProductName']}, made in small batches from certified materials. " * 3,
        "Source Name": "web",
        "ShippingAddress": bought["ShippingAddress"],
        "BillingAddress": bought["BillingAddress"],
    }


def order_followup(name: str, bought: Properties) -> Properties:
    """An order fulfilled, cancelled or refunded; what is taken back has a negative value."""
    sign = -1 if name in ("Refunded Order", "Cancelled Order") else 1
    return {**bought, "$value": round(sign * bought["$value"], 2), "Reason": None if sign > 0 else "customer"}


def browsing(chance: Chance, name: str) -> Properties:
    """A visit, a product looked at or put into the cart."""
    product = chance.early(PRODUCTS)
    client = chance.one_of(CLIENTS)
    referrer = chance.one_of(("home", "search", "mail"))
    said: Properties = {
        "page": f"https://shop.example.com/products/{product.slug}?ref={referrer}",
        "browser": client[2],
        "os": client[3],
        "user_agent": chance.one_of(USER_AGENTS),
        "$session_id": f"{chance.getrandbits(64):016x}",
        "$is_session_activity": name == "Active on Site",
        "title": f"{product.name} | Nordhavn Supply, clothes for weather",
        "referrer": f"https://www.example.com/search?q={product.slug}&source=web&session={chance.getrandbits(128):032x}",
        "utm": {"source": "klaviyo", "medium": "email", "campaign": "weekly", "content": product.slug, "term": None},
        "screen": {"width": 1440, "height": 900, "pixel_ratio": 2, "orientation": "landscape-primary"},
        "consent": {"analytics": True, "marketing": chance.random() < 0.7, "preferences": True},
    }
    if name != "Active on Site":
        said |= {
            "ProductID": product.sku,
            "Name": product.name,
            "Price": product.price,
            "CompareAtPrice": round(product.price * 1.2, 2) if chance.random() < 0.3 else None,
            "Categories": list(product.categories),
            "ImageURL": f"https://cdn.shop.example.com/{product.slug}.jpg",
            "URL": f"https://shop.example.com/products/{product.slug}",
            "Brand": "Nordhavn Supply",
            "Description": f"{product.name}, made in small batches from certified materials. " * 3,
        }
    if name == "Added to Cart":
        said |= {"Quantity": 1, "$value": product.price, "$value_currency": "EUR"}
    return said
