"""What the shop sells, where its customers live and what they are called."""

from typing import NamedTuple

FIRST_NAMES = (
    "Anna",
    "Mikkel",
    "Sofía",
    "Zoë",
    "Liam",
    "Noah",
    "Emma",
    "Olivia",
    "Lukas",
    "Freja",
    "Jürgen",
    "Chloé",
    "Mateo",
    "Aisha",
    "Yuki",
    "Priya",
    "Oscar",
    "Ingrid",
    "Tomás",
    "Nadia",
    "Elif",
    "Marek",
    "Saoirse",
    "André",
    "Grace",
    "Hugo",
    "Ida",
    "Jonas",
    "Katarzyna",
    "Leila",
    "Max",
    "Nora",
    "Pablo",
    "Rosa",
    "Søren",
    "Tove",
)
LAST_NAMES = (
    "Jensen",
    "Müller",
    "García",
    "Smith",
    "O'Brien",
    "Nguyen",
    "Kowalski",
    "Rossi",
    "Dubois",
    "Andersson",
    "Tanaka",
    "Patel",
    "Silva",
    "Novák",
    "Yılmaz",
    "Hansen",
    "Brown",
    "Martin",
    "Larsen",
    "Fischer",
    "Lindqvist",
    "Moreau",
    "Costa",
    "Walker",
    "Björnsdóttir",
    "Schmidt",
    "Khan",
    "Lopez",
    "Berg",
    "Ivanova",
)
STREETS = (
    "High Street",
    "Station Road",
    "Elm Avenue",
    "Harbour Lane",
    "Market Square",
    "Mill Road",
    "Rue Verte",
)
MAIL_DOMAINS = ("example.com", "mail.example.com", "example.org", "example.net")


class Place(NamedTuple):
    """A city that customers live in."""

    city: str
    region: str
    country: str
    zip: str
    latitude: float
    longitude: float
    timezone: str
    locale: str
    dial: str


PLACES = (
    Place(
        "Copenhagen",
        "Capital Region",
        "Denmark",
        "2300",
        55.6761,
        12.5683,
        "Europe/Copenhagen",
        "da-DK",
        "+45",
    ),
    Place("Aarhus", "Central Denmark", "Denmark", "8000", 56.1629, 10.2039, "Europe/Copenhagen", "da-DK", "+45"),
    Place("Berlin", "Berlin", "Germany", "10115", 52.52, 13.405, "Europe/Berlin", "de-DE", "+49"),
    Place("München", "Bayern", "Germany", "80331", 48.1351, 11.582, "Europe/Berlin", "de-DE", "+49"),
    Place("London", "England", "United Kingdom", "E1 6AN", 51.5074, -0.1278, "Europe/London", "en-GB", "+44"),
    Place("New York", "New York", "United States", "10001", 40.7128, -74.006, "America/New_York", "en-US", "+1"),
    Place("Austin", "Texas", "United States", "73301", 30.2672, -97.7431, "America/Chicago", "en-US", "+1"),
    Place(
        "Sydney",
        "New South Wales",
        "Australia",
        "2000",
        -33.8688,
        151.2093,
        "Australia/Sydney",
        "en-AU",
        "+61",
    ),
    Place("São Paulo", "São Paulo", "Brazil", "01000", -23.5505, -46.6333, "America/Sao_Paulo", "pt-BR", "+55"),
    Place("東京", "Tokyo", "Japan", "100-0001", 35.6762, 139.6503, "Asia/Tokyo", "ja-JP", "+81"),
)


class Product(NamedTuple):
    """Something on sale."""

    sku: str
    name: str
    price: float
    categories: tuple[str, ...]
    slug: str


_KINDS = (
    ("Linen Shirt", "Shirts", 59.0),
    ("Wool Jumper", "Knitwear", 119.0),
    ("Canvas Tote", "Bags", 29.0),
    ("Rain Jacket", "Outerwear", 189.0),
    ("Leather Belt", "Accessories", 45.0),
    ("Cotton Socks", "Basics", 12.5),
    ("Denim Jeans", "Trousers", 99.0),
    ("Silk Scarf", "Accessories", 69.0),
    ("Running Shoes", "Shoes", 139.0),
    ("Felt Hat", "Accessories", 54.0),
)
_COLOURS = ("Navy", "Sand", "Forest", "Charcoal", "Rust", "Écru")

PRODUCTS = tuple(
    Product(
        sku=f"{kind[:2].upper()}{number:02d}-{colour[:3].upper()}",
        name=f"{colour} {kind}",
        price=price,
        categories=(category, "All"),
        slug=f"{colour}-{kind}".lower().replace(" ", "-"),
    )
    for number, (kind, category, price) in enumerate(_KINDS)
    for colour in _COLOURS
)
CAMPAIGN_SUBJECTS = (
    "New in: {season} favourites",
    "Last chance: 20% off {season}",
    "Your {season} wardrobe, sorted",
    "{season} sale starts now",
    "We picked these for you",
    "Back in stock: bestsellers",
    "Thank you, from all of us",
    "A quieter {season} edit",
    "Free shipping this weekend",
    "Members only: early access",
)
SEASONS = ("spring", "summer", "autumn", "winter", "holiday")
CLIENTS = (
    ("Gmail", "Desktop", "Chrome", "Windows"),
    ("Apple Mail", "Mobile", "Safari", "iOS"),
    ("Outlook", "Desktop", "Edge", "Windows"),
    ("Gmail", "Mobile", "Chrome", "Android"),
    ("Apple Mail", "Desktop", "Safari", "macOS"),
    ("Thunderbird", "Desktop", "Firefox", "Linux"),
)
USER_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile",
)
