"""Asks glibc and warren for the same names under the same files, in a namespace of the test's own.

compare.py WARREN FOLDER: FOLDER has cases.json, a list of {resolv_conf, hosts, name}, and records.json,
what the name server knows. Prints a list of {glibc, warren}: each {addresses, asked}, what was found and
which names the server was asked for.
"""

import json, os, subprocess, sys

warren, folder = sys.argv[1:]
here = os.path.dirname(os.path.abspath(__file__))
ENV = {"PATH": os.environ["PATH"], "LC_ALL": "C"}


def path(name):
    return os.path.join(folder, name)


def put(name, text):
    # In place: a mount holds the file and not its name.
    with open(path(name), "w") as file:
        file.write(text)


def asked():
    names = []
    for name in open(path("asked")).read().split():
        if name not in names:
            names.append(name)
    put("asked", "")
    return names


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, env=ENV, timeout=60).stdout.splitlines()


def glibc(name):
    addresses = []
    for line in run("getent", "ahosts", "--", name):
        if line.split()[0] not in addresses:
            addresses.append(line.split()[0])
    return {"addresses": addresses, "asked": asked()}


def ours(name):
    peer = {"id": "1" * 32, "address": f"{name}:1"}
    put("agent.yaml", json.dumps({"http": {"enabled": False}, "agent": {"data_dir": path("data")}, "peers": [peer]}))
    mark, addresses = f" peers: {name} has the address ", []
    for line in run(warren, "check", "-c", path("agent.yaml")):
        if mark in line:
            addresses = line.split(mark)[1].split(", ")
    return {"addresses": addresses, "asked": asked()}


for name, text in ("resolv.conf", ""), ("hosts", ""), ("nsswitch.conf", "hosts: files dns\n"), ("asked", ""):
    put(name, text)
    if name != "asked":
        subprocess.check_call(["mount", "--bind", path(name), os.path.realpath(f"/etc/{name}")])
command = [sys.executable, os.path.join(here, "nameserver.py"), path("records.json"), path("asked")]
server = subprocess.Popen(command, stdout=subprocess.PIPE)
server.stdout.readline()
results = []
for case in json.load(open(path("cases.json"))):
    put("resolv.conf", case["resolv_conf"])
    put("hosts", case["hosts"])
    results.append({"glibc": glibc(case["name"]), "warren": ours(case["name"])})
server.kill()
print(json.dumps(results))
