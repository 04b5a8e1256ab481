#!/usr/bin/env python3
"""What must agree between files of deploy/, and no tool checks: `facts.py NAME DEPLOY [FILE...]`, called by `run`."""

import configparser
import ipaddress
import pathlib
import re
import sys
import tomllib

import yaml

PROBLEMS = []
# What Restante does where a configuration does not say it.
DRAIN = {"lame_duck_secs": 5, "grace_secs": 30, "deadline_secs": 600}
# The last lines of the audit are waited for after the deadline.
FLUSH = 5
IDLE = 600


def need(truth, text):
    if not truth:
        PROBLEMS.append(text)


def seconds(text):
    """`90`, `75s`, `11m`, `15min`, `1500ms`."""
    found = re.fullmatch(r"(\d+)(ms|s|sec|m|min|h)?", str(text))
    unit = {None: 1, "s": 1, "sec": 1, "ms": 0.001, "m": 60, "min": 60, "h": 3600}
    return int(found[1]) * unit[found[2]]


def drained(config):
    """The longest time that a server takes to leave."""
    drain = DRAIN | config.get("drain", {})
    return drain["lame_duck_secs"] + drain["deadline_secs"] + FLUSH


def toml(path):
    return tomllib.loads(path.read_text())


def sockets(deploy):
    """The units listen on what the configuration names, and leave it its time."""
    unit = (deploy / "systemd/restante.service").read_text()
    opened = set()
    for name in ["restante.socket", "restante-lmtp.socket"]:
        opened |= set(re.findall(r"^ListenStream=(.*)$", (deploy / "systemd" / name).read_text(), re.M))
    config = toml(deploy / "systemd/restante.toml")
    named = {listener["address"].removeprefix("unix:") for listener in config["listener"]}
    need(opened == named, f"sockets {sorted(opened)}, listeners {sorted(named)}")
    stop = seconds(re.search(r"^TimeoutStopSec=(.*)$", unit, re.M)[1])
    for what, settings in [("by default", {}), ("of systemd/restante.toml", config)]:
        need(stop >= drained(settings), f"TimeoutStopSec={stop} is shorter than the drain {what}, {drained(settings)} s")
    need(not re.search(r"^MemoryDenyWriteExecute=(yes|true|1|on)$", unit, re.M), "no plugin loads with MemoryDenyWriteExecute")
    need(not re.search(r"^ProcSubset=pid$", unit, re.M), "process_start_time_seconds needs /proc/stat")
    need("RuntimeDirectory=" not in unit, "a RuntimeDirectory goes with the service, and LMTP's socket with it")


def balancers(deploy):
    """Longer than POP3's idle limit; a frontend that leaves is out before it closes its ports."""
    for path, settings in [
        (deploy / "haproxy/haproxy.cfg", {}),
        (deploy / "compose/haproxy.cfg", toml(deploy / "compose/restante.toml")),
    ]:
        text = re.sub(r"#.*", "", path.read_text())
        name = path.relative_to(deploy)
        for side in ["client", "server"]:
            limit = seconds(re.search(rf"timeout {side} +(\S+)", text)[1])
            need(limit > IDLE, f"{name}: timeout {side} {limit} s cuts sessions that may be silent for {IDLE} s")
        probe = re.search(r"default-server .*inter (\S+) fall (\d+)", text)
        wait = seconds(re.search(r"timeout check +(\S+)", text)[1])
        noticed = int(probe[2]) * (seconds(probe[1]) + wait)
        duck = (DRAIN | settings.get("drain", {}))["lame_duck_secs"]
        need(noticed < duck, f"{name}: noticed after {noticed} s, but the listeners close after {duck} s")
        need("shutdown-sessions" not in text, f"{name}: on-marked-down shutdown-sessions cuts sessions that drain")
        for server in re.findall(r"^ *server (?!here).*$", text, re.M):
            need("send-proxy-v2" in server, f"{name}: no PROXY header: {server.strip()}")
    nginx = (deploy / "nginx/nginx.conf").read_text()
    limit = seconds(re.search(r"proxy_timeout (\S+);", nginx)[1])
    need(limit > IDLE, f"nginx.conf: proxy_timeout {limit} s cuts sessions that may be silent for {IDLE} s")
    need(re.search(r"^ *proxy_protocol on;", nginx, re.M), "nginx.conf: no PROXY header")


def services(deploy, *more):
    stack = yaml.safe_load((deploy / "compose/compose.yaml").read_text())
    for file in more:
        extra = yaml.safe_load((deploy / "compose" / file).read_text())
        stack["services"] |= {name: at for name, at in extra["services"].items() if "image" in at}
        stack["secrets"] |= extra.get("secrets", {})
    return stack


def stack(deploy):
    """What `docker compose config` does not look at."""
    here = deploy / "compose"
    whole = services(deploy, "compose.pgbouncer.yaml")
    config = toml(here / "restante.toml")
    made = (here / "prepare").read_text()
    for name, service in whole["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                need((here / source).exists(), f"{name}: {source} does not exist")
            else:
                need(source in whole["volumes"], f"{name}: there is no volume {source}")
        for port in service.get("ports", []):
            need(str(port).startswith("127.0.0.1:"), f"{name}: {port} is published beyond loopback")
        for secret in service.get("secrets", []):
            need(secret in whole["secrets"], f"{name}: there is no secret {secret}")
        for other in service.get("depends_on", {}):
            need(other in whole["services"], f"{name}: there is no service {other}")
        need("no-new-privileges:true" in service.get("security_opt", []), f"{name}: may gain privileges")
        need(not service.get("privileged"), f"{name}: privileged")
    for secret in whole["secrets"].values():
        file = secret["file"].removeprefix("secrets/")
        need(re.search(rf"\b{re.escape(file)}\b", made), f"prepare does not make {file}")

    frontends = [name for name in whole["services"] if re.fullmatch(r"pop3-\d", name)]
    need(len(frontends) == 2, "two frontends")
    names = {whole["services"][name]["environment"]["RESTANTE__LOCK__NODE"] for name in frontends}
    need(len(names) == len(frontends), "frontends need names of their own (RESTANTE__LOCK__NODE)")
    for name in frontends:
        grace = seconds(whole["services"][name]["stop_grace_period"])
        need(grace >= drained(config), f"{name}: killed after {grace} s, but it may drain for {drained(config)} s")

    balancer = ipaddress.ip_address(whole["services"]["haproxy"]["networks"]["front"]["ipv4_address"])
    subnet = ipaddress.ip_network(whole["networks"]["front"]["ipam"]["config"][0]["subnet"])
    need(balancer in subnet, f"{balancer} is not in {subnet}")
    for listener in config["listener"]:
        if listener["protocol"] != "lmtp":
            trusted = [ipaddress.ip_network(network) for network in listener["trusted_proxies"]]
            need(trusted == [ipaddress.ip_network(balancer)], f"{listener['address']} trusts {trusted}, HAProxy is {balancer}")

    haproxy = (here / "haproxy.cfg").read_text()
    ports = {listener["address"].rpartition(":")[2] for listener in config["listener"] if listener["protocol"] != "lmtp"}
    asked = set(re.findall(r"server pop3-\d pop3-\d:(\d+)", haproxy))
    need(ports == asked, f"haproxy.cfg: servers on {sorted(asked)}, listeners on {sorted(ports)}")
    metrics = config["admin"]["metrics_address"].rpartition(":")[2]
    need(set(re.findall(r"check port (\d+)", haproxy)) == {metrics}, f"haproxy.cfg: /readyz is on port {metrics}")
    scraped = yaml.safe_load((here / "prometheus.yml").read_text())["scrape_configs"]
    targets = [job["static_configs"][0]["targets"] for job in scraped if job["job_name"] == "restante"]
    need(targets == [[f"{name}:{metrics}" for name in frontends]], f"prometheus.yml: targets {targets}")
    lmtp = [listener["address"].rpartition(":")[2] for listener in config["listener"] if listener["protocol"] == "lmtp"]
    main = (here / "postfix/main.cf").read_text()
    transport = re.search(r"^virtual_transport = lmtp:inet:(\S+):(\d+)$", main, re.M)
    need(transport and [transport[2]] == lmtp, f"main.cf: LMTP is on port {lmtp}")
    for name in frontends:
        aliases = whole["services"][name]["networks"]["mail"]["aliases"]
        need(transport and transport[1] in aliases, f"{name} is not reached by Postfix's {transport and transport[1]}")
    largest = int(re.search(r"^message_size_limit = (\d+)$", main, re.M)[1])
    need(largest <= config.get("lmtp", {}).get("max_message_octets", 157286400), "Postfix takes what Restante will not")


def pooler(deploy):
    """PgBouncer and Restante agree on what kind of pooler it is; PgBouncer itself has no check of its file."""
    here = deploy / "compose"
    whole = yaml.safe_load((here / "compose.pgbouncer.yaml").read_text())
    told = whole["x-pooled"]["environment"]
    ini = configparser.ConfigParser()
    ini.read(here / "pgbouncer/pgbouncer.ini")
    own, database = ini["pgbouncer"], ini["databases"]["restante"]
    kind = "prepared" if int(own.get("max_prepared_statements", "0")) > 0 else "transaction"
    need(own["pool_mode"] == "transaction", f"pool_mode {own['pool_mode']}")
    need(told["RESTANTE__DATABASE__POOLER"] == kind, f"pooler is not {kind}")
    need(told["RESTANTE__DATABASE__URL"] == f"postgres://restante@pgbouncer:{own['listen_port']}/restante", "url")
    direct = toml(here / "restante.toml")["database"]["url"]
    need(told["RESTANTE__DATABASE__DIRECT_URL"] == direct, f"direct_url is not {direct}")
    need(database == "host=postgres port=5432 dbname=restante", f"database: {database}")
    need(own["auth_file"] == "/run/secrets/pgbouncer-users", "auth_file")


IMAGE = re.compile(r"^[a-z0-9./-]+:(?P<tag>[A-Za-z0-9._-]+)(@sha256:[0-9a-f]{64})?$")


def fixed(image):
    """A tag that names a version (two numbers and more, or a day), or a digest."""
    if re.search(r"@sha256:[0-9a-f]{64}$", image):
        return True
    found = IMAGE.match(image)
    return bool(found) and bool(re.search(r"\d+\.\d+(\.\d+)?|20\d{6}", found["tag"]))


def pins(deploy):
    """No image without a version, no package without one."""
    n = 0
    whole = services(deploy, "compose.pgbouncer.yaml")
    for name, service in whole["services"].items():
        need(fixed(service["image"]), f"compose: {name}: {service['image']}")
        n += 1
    dockerfiles = [path for path in deploy.rglob("Dockerfile*") if not path.name.endswith(".dockerignore")]
    need(len(dockerfiles) >= 3, "the Dockerfiles are not found")
    for path in dockerfiles:
        text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", path.read_text(), flags=re.M))
        name = path.relative_to(deploy)
        arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.M))
        stages = set(re.findall(r"^FROM \S+ AS (\w+)$", text, re.M))
        for image in re.findall(r"^FROM (\S+)", text, re.M):
            named = re.fullmatch(r"\$\{(\w+)\}", image)
            image = arguments.get(named[1], "") if named else image
            need(image in stages or fixed(image), f"{name}: FROM {image}")
            n += 1
        for command in re.findall(r"apt-get install ([^&|;]*)", text):
            for package in [word for word in command.split() if not word.startswith("-")]:
                need("=" in package, f"{name}: package {package} without a version")
                n += 1
            need("snapshot.debian.org/archive/debian/20" in text, f"{name}: packages of no fixed day")
    print(f"note: {n}")


def compose(_deploy, *files):
    """Where there is no Compose: at least YAML with services that know each other."""
    known = set()
    for file in files:
        whole = yaml.safe_load(pathlib.Path(file).read_text())
        known |= set(whole["services"])
        for name, service in whole["services"].items():
            for other in service.get("depends_on", {}):
                need(other in known | set(whole["services"]), f"{file}: {name} waits for {other}")


def grafana(deploy):
    here = deploy / "compose/grafana"
    source = yaml.safe_load((here / "datasource.yaml").read_text())["datasources"]
    need([at["type"] for at in source] == ["prometheus"], "one Prometheus")
    need(source[0]["isDefault"] is True, "the boards choose the default source")
    scrape = yaml.safe_load((deploy / "compose/prometheus.yml").read_text())["global"]["scrape_interval"]
    need(source[0]["jsonData"]["timeInterval"] == scrape, f"timeInterval is not the scrape interval {scrape}")
    provider = yaml.safe_load((here / "dashboards.yaml").read_text())["providers"][0]
    service = services(deploy)["services"]["grafana"]
    mounted = dict(volume.split(":")[1::-1] for volume in service["volumes"])
    folder = provider["options"]["path"]
    need(folder in mounted, f"{folder} is not mounted")
    home = pathlib.PurePosixPath(service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    need(str(home.parent) == folder, f"{home} is not in {folder}")
    boards = deploy / "compose" / mounted.get(folder, ".")
    need((boards / home.name).is_file(), f"there is no {home.name} in {boards}")


if __name__ == "__main__":
    name, deploy, *files = sys.argv[1:]
    {f.__name__: f for f in [sockets, balancers, stack, pooler, pins, compose, grafana]}[name](pathlib.Path(deploy), *files)
    for problem in PROBLEMS:
        print(problem)
    sys.exit(1 if PROBLEMS else 0)
