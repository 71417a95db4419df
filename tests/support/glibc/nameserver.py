"""A name server for tests: answers from a table, and logs the names that it is asked for."""
import json, socket, struct, sys

table, log = json.load(open(sys.argv[1])), open(sys.argv[2], "a", buffering=1)
CODES = {"NXDOMAIN": 3, "SERVFAIL": 2, "REFUSED": 5, "NOTIMP": 4, "FORMERR": 1}
TYPES = {1: socket.AF_INET, 28: socket.AF_INET6}


def answer(query):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    question = query[12 : at + 5]
    (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
    name = ".".join(labels).lower()
    log.write(f"{name}\n")
    known = table.get(name, "NXDOMAIN")
    code = CODES.get(known, 0) if isinstance(known, str) else 0
    records = b""
    count = 0
    for text in known if isinstance(known, list) else []:
        family = socket.AF_INET6 if ":" in text else socket.AF_INET
        if TYPES.get(kind) == family:
            data = socket.inet_pton(family, text)
            records += struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(data)) + data
            count += 1
    flags = 0x8180 | code
    return query[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0) + question + records


udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 53))
print("ready", flush=True)
while True:
    query, client = udp.recvfrom(4096)
    udp.sendto(answer(query), client)
