"""Checks that the links between the documents of this repository lead somewhere.

    python scripts/check_links.py

Looks at every Markdown file under version control: a relative link must name a file that is there, and
a fragment a heading of it. Links to other hosts are not followed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Return the fragments of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#{1,6} +(.+?) *$", FENCE.sub("", text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def main() -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True).stdout.split()
    texts = {ROOT / name: (ROOT / name).read_text(encoding="utf-8") for name in names}
    broken, count = [], 0
    for page, text in texts.items():
        for link in LINK.findall(FENCE.sub("", text)):
            if re.match(r"[a-z]+:", link):
                continue
            count += 1
            name, _, fragment = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            if not target.exists():
                broken.append(f"{page.relative_to(ROOT)}: {link}: there is no such file")
            elif fragment and target in texts and fragment not in anchors(texts[target]):
                broken.append(f"{page.relative_to(ROOT)}: {link}: there is no such heading")
    print("\n".join(broken) if broken else f"{count} links between {len(texts)} documents are good")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
