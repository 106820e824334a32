"""Which papers does a household photograph and file? Made anew each time: a receipt as a phone takes it, and PDFs."""

import random

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, TABLE = (250, 248, 242), (38, 36, 34), (139, 107, 78)
# EXIF's words: how the phone was held, and where it was.
ORIENTATION, GPS = 0x0112, 0x8825


def receipt(path, lines, size=(1200, 1600)):
    """Draws a receipt that lies on a table, photographed with the phone held sideways, and saves it by its ending."""
    chance = random.Random(7)
    width, height = size
    table = Image.new("RGB", size, TABLE)
    draw = ImageDraw.Draw(table)
    # The grain of the wood.
    for _ in range(140):
        at, shade = chance.randrange(height), chance.randint(-14, 14)
        draw.line((0, at, width, at + chance.randint(-40, 40)), tuple(part + shade for part in TABLE), chance.randint(1, 6))
    paper = Image.new("RGB", (width * 6 // 10, height * 8 // 10), PAPER)
    draw = ImageDraw.Draw(paper)
    font, below = ImageFont.load_default(paper.width // 18), 60
    for line in lines:
        left, _, right = line.partition("|")
        draw.text((50, below), left, INK, font)
        draw.text((paper.width - 50, below), right, INK, font, anchor="ra")
        below += paper.width // 12
    turned = paper.convert("RGBA").rotate(-4, expand=True, resample=Image.Resampling.BICUBIC)
    table.paste(turned, ((width - turned.width) // 2, (height - turned.height) // 2), turned)
    if not path.name.endswith(".jpg"):
        table.save(path)
        return str(path)
    sideways = table.rotate(90, expand=True)
    exif = sideways.getexif()
    exif[ORIENTATION] = 6
    exif.get_ifd(GPS).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    sideways.save(path, quality=85, exif=exif)
    return str(path)


def photograph(path, ground, *shapes):
    """Draws a thing as it could be photographed: rectangles and circles, each with a colour and its box in percent."""
    picture = Image.new("RGB", (1200, 1200), ground)
    draw = ImageDraw.Draw(picture)
    for shape, colour, box in shapes:
        getattr(draw, shape)([12 * part for part in box], colour)
    picture.save(path, quality=85)
    return path.read_bytes()


def pdf(path, lines):
    """Writes a PDF of one page with these lines as text, as a shop sends them."""
    escaped = [line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)") for line in lines]
    text = "BT /F1 14 Tf 18 TL 60 780 Td " + " ".join(f"({line}) Tj T*" for line in escaped) + " ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(text)} >>\nstream\n{text}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    document, offsets = "%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        offsets.append(len(document))
        document += f"{number} 0 obj\n{each}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    document += (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
        f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(document)}\n%%EOF\n"
    )
    path.write_bytes(document.encode("ascii"))
    return str(path)
