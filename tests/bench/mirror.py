"""Copies a live HLS stream into a folder, so that a static file server offers the same files: mirror.py URL FOLDER.

URL is that of `index.m3u8`. Segments are written before the playlist that names them, everything by rename.
"""

import os
import sys
import time
import urllib.request

POLL_S = 0.1
# Segments stay longer than any list: viewers fetch those that have just left it.
KEPT = 40


def fetch(url):
    """The body."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read()


def write(folder, name, content):
    """A file that is there with its whole content or not at all."""
    draft = os.path.join(folder, f".{name}.part")
    with open(draft, "wb") as file:
        file.write(content)
    os.rename(draft, os.path.join(folder, name))


def main():
    """Runs until it is told to stop."""
    page, folder = sys.argv[1], sys.argv[2]
    base = page.rsplit("/", 1)[0]
    have, last = [], b""
    write(folder, "index.m3u8", fetch(page))
    while True:
        playlist = fetch(f"{base}/media.m3u8")
        if playlist != last:
            for name in playlist.decode().split("\n"):
                if name and not name.startswith("#") and name not in have:
                    write(folder, name, fetch(f"{base}/{name}"))
                    have.append(name)
            write(folder, "media.m3u8", playlist)
            if not last:
                print("ready", flush=True)
            last = playlist
            while len(have) > KEPT:
                os.unlink(os.path.join(folder, have.pop(0)))
        time.sleep(POLL_S)


if __name__ == "__main__":
    main()
