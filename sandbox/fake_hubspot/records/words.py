"""The vocabulary of records: several scripts, emoji, right-to-left text, and everything that JSON must escape."""

from sandbox.fake_hubspot.records.ids import mix

FIRST_NAMES = (
    *("Anna", "José", "Zoë", "Jürgen", "Siobhán", "François", "Łukasz", "Þóra", "Nguyễn", "Αλέξανδρος"),
    *("Дмитрий", "美咲", "小明", "지우", "محمد", "שרה", "प्रिया", "Ọlá", "D'Arcy", "Anne-Marie"),
)
LAST_NAMES = (
    *("Smith", "Müller", "García", "O'Brien", "Østergård", "Çelik", "Škvorecký", "Nowak-Żółć", "Tremblay"),
    *("田中", "王", "김", "حسن", "לוי", "शर्मा", "Papadópoulos", "Иванова", "van der Berg"),
)
COMPANIES = (
    *("Acme", "Bäckerei Groß & Söhne", "Café Olé S.A.", "北京科技有限公司", "株式会社サンプル", "شركة المثال"),
    *('Tools "R" Us', "Back\\slash Ltd", "Rocket 🚀 Labs", "O'Neill/Partners", "100% Organic", "Ünïcödé GmbH"),
)
CITIES = ("Berlin", "Zürich", "São Paulo", "東京", "Montréal", "תל אביב", "Kraków", "Dublin")
COUNTRIES = ("Germany", "Switzerland", "Brazil", "日本", "Canada", "ישראל", "Polska", "Ireland")
JOB_TITLES = ("CEO", "Head of R&D", "Ingénieure", "営業部長", "Developer <senior>", "VP, Sales")
INDUSTRIES = ("COMPUTER_SOFTWARE", "RETAIL", "CONSTRUCTION", "HOSPITAL_HEALTH_CARE", "FINANCIAL_SERVICES")
STAGES = ("appointmentscheduled", "qualifiedtobuy", "contractsent", "closedwon", "closedlost")
SENTENCES = (
    "Called, will call back tomorrow.",
    'He said "yes", then hung up.\nSecond line,\ttabbed.',
    "Path C:\\temp\\new & <b>bold</b> 100%.",
    "Ça va très bien, à bientôt 👋🏽",
    "次回の会議は火曜日です。",
    "نلتقي يوم الأحد إن شاء الله",
    "Family 👨\u200d👩\u200d👧\u200d👦, flag 🇮🇪, line separator \u2028 and bell \u0007 inside.",
    "https://example.test/path?a=1&b=2#c",
)


def pick(words: tuple[str, ...], variant: int, *, salt: int) -> str:
    """Return the word of a variant; different salts choose independently."""
    return words[mix(salt, variant) % len(words)]


def digits(variant: int, *, salt: int, length: int) -> str:
    """Return a number of `length` digits, the first never zero."""
    return str(10 ** (length - 1) + mix(salt, variant) % (9 * 10 ** (length - 1)))


def html(variant: int, *, size: int) -> str:
    """Return an HTML text of at least `size` characters."""
    paragraphs: list[str] = []
    length = 0
    while length < size:
        sentence = pick(SENTENCES, variant, salt=len(paragraphs))
        paragraphs.append(f'<p style="margin:0">{sentence}</p>')
        length += len(paragraphs[-1])
    return "".join(paragraphs)
