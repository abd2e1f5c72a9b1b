#!/bin/sh
# The text the models learn from and are judged by: C. H. Spurgeon, The Treasury of David (1869-1885,
# public domain), from Debian's package sword-comm-tdavid. Writes FOLDER/train.txt and
# FOLDER/heldout.txt: one document per psalm, each ended by a zero byte, plain ASCII.
# A psalm is held out when the first byte of its SHA-256 is a multiple of 16; of each held-out psalm
# the first 14 336 bytes are kept.
#   usage: text.sh FOLDER      needs apt-get, dpkg-deb, python3; installs nothing
set -eu
folder=${1:?usage: text.sh FOLDER}
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get -q -o APT::Sandbox::User=root download sword-comm-tdavid >&2)
dpkg-deb -x "$work"/sword-comm-tdavid_*.deb "$work/package"
python3 - "$work/package/usr/share/sword/modules/comments/zcom/tdavid/ot" "$folder" <<'EOF'
import hashlib, html, re, struct, sys, unicodedata, zlib

stem, folder = sys.argv[1:]
ASCII = str.maketrans({"\u2014": "--", "\u2013": "-", "\u2018": "'", "\u2019": "'", "\u201c": '"',
                       "\u201d": '"', "\u2026": "...", "\u00e6": "ae", "\u00c6": "AE",
                       "\u0153": "oe", "\u0152": "OE", "\u00a0": " "})


def plain(markup):
    text = re.sub(rb'<(title|div|chapter|lb|l|lg|p)\b[^>]*>', b'\n', markup)
    text = re.sub(rb'<[^>]*>', b'', text).decode('utf-8', 'replace')
    text = html.unescape(text).translate(ASCII)
    text = unicodedata.normalize('NFKD', text).encode('ascii', 'ignore').decode('ascii')
    text = re.sub(r'[^\n -~]', ' ', text)
    lines = (re.sub(' +', ' ', line).strip() for line in text.split('\n'))
    return '\n'.join(line for line in lines if line)


index = open(stem + '.czs', 'rb').read()
packed = open(stem + '.czz', 'rb').read()
parts = {'train': [], 'heldout': []}
for block in range(len(index) // 12):
    start, size, _ = struct.unpack_from('<III', index, 12 * block)
    document = plain(zlib.decompress(packed[start:start + size])).encode() if size else b''
    if len(document) < 8192:
        continue
    if hashlib.sha256(document).digest()[0] % 16 == 0:
        parts['heldout'].append(document[:14336])
    else:
        parts['train'].append(document)
for name, documents in parts.items():
    data = b''.join(document + b'\n\0' for document in documents)
    with open(f'{folder}/{name}.txt', 'wb') as file:
        file.write(data)
    print(f'{name}.txt  {len(documents)} documents  {len(data)} bytes  '
          f'sha256 {hashlib.sha256(data).hexdigest()}')
EOF
