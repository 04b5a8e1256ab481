#!/usr/bin/env python3
"""What must hold of the chart, and Helm would not say: `facts.py NAME WORK [PROGRAM]`, called by `run`.

WORK has `render` (render.go, compiled) and `python` (requirements.txt, installed). Every file in values/ is a case.
"""

import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib

import jsonschema
import kubernetes_validate.utils as kubernetes
import yaml

TEST = pathlib.Path(__file__).resolve().parent
CHART = TEST.parent / "restante"
DEPLOY = TEST.parent.parent
README = TEST.parent / "README.md"
RELEASE, NAMESPACE = "mail", "post"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
# Values that are a table of restante.toml: its heading in deploy/CONFIGURATION.md, and the keys that are no value
# because the chart sets them itself or they have no meaning there.
TABLES = {
    "pop3.settings": ("[[listener]]", {"address", "protocol", "trusted_proxies", "allow_remote"}),
    "pop3s.settings": (
        "[[listener]]",
        {"address", "protocol", "trusted_proxies", "allow_remote", "allow_plaintext_login", "stls"},
    ),
    "lmtpListener.settings": (
        "[[listener]]",
        {"address", "protocol", "trusted_proxies", "allow_remote", "allow_plaintext_login", "stls", "utf8"},
    ),
    "tls.settings": ("[tls]", set()),
    "database.settings": ("[database]", {"url", "password_file", "busy_timeout_secs"}),
    "storage.s3.settings": ("[storage.NAME]", {"kind", "bucket", "ca_file", "credentials_file"}),
    "redis.settings": ("[redis]", {"url", "password_file"}),
    "auth.settings": ("[auth]", {"keys_file"}),
    "limits": ("[limits]", set()),
    "lmtp": ("[lmtp]", {"spool_path"}),
    "collector": ("[collector]", set()),
    "log": ("[log]", set()),
    "drain": ("[drain]", set()),
    "telemetry.settings": ("[telemetry]", {"otlp_headers_file"}),
}
# Tables that the templates write, or extraConfig.
OWN = {"Top level", "[[tls.certificate]]", "[plugin.NAME]", "[plugin_host]", "[lock]", "[admin]", "[[admin.token]]"}
PROBLEMS = []


def need(truth, text):
    if not truth:
        PROBLEMS.append(text)


# ---- Rendering --------------------------------------------------------------------------------------------------


class Strict(yaml.SafeLoader):
    """YAML in which no key stands twice."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def rendered(what, *values):
    """Text and complaint; `what` is manifests, notes or values."""
    ask = [WORK / "render", what, CHART, RELEASE, NAMESPACE, *values]
    done = subprocess.run(ask, capture_output=True, text=True, check=False)
    return (done.stdout, None) if done.returncode == 0 else (None, done.stderr.strip())


def laid(name, values):
    """A file with further values."""
    path = WORK / f"{name}.json"
    path.write_text(json.dumps(values))
    return path


def objects(*values):
    text, complaint = rendered("manifests", *values)
    if complaint:
        sys.exit(complaint)
    return [document for document in yaml.load_all(text, Strict) if document]


class Case:
    def __init__(self, path):
        self.path, self.name = path, path.stem
        self.values = json.loads(rendered("values", path)[0])
        self.objects = objects(path)
        self.deployment = self.one("Deployment")
        self.pods = [self.deployment["spec"]["template"], *(job["spec"]["template"] for job in self.all("Job"))]
        self.container = self.pods[0]["spec"]["containers"][0]

    def all(self, kind):
        return [found for found in self.objects if found["kind"] == kind]

    def one(self, kind, name=None):
        found = [each for each in self.all(kind) if name in (None, each["metadata"]["name"])]
        need(len(found) == 1, f"{self.name}: {len(found)} of {kind} {name or ''}")
        return found[0]

    def toml_text(self):
        return self.one("ConfigMap", self.deployment["metadata"]["name"])["data"]["restante.toml"]

    def toml(self):
        return tomllib.loads(self.toml_text())

    def need(self, truth, text):
        need(truth, f"{self.name}: {text}")


def cases():
    return [Case(path) for path in sorted((TEST / "values").glob("*.yaml"))]


def leaves(tree, path=()):
    """Every value below `tree`, with its path."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list):
        for nth, value in enumerate(tree):
            yield from leaves(value, (*path, nth))
    else:
        yield path, tree


def within(small, large):
    return small.items() <= large.items()


# ---- The chart by itself ----------------------------------------------------------------------------------------


def chart():
    """Chart.yaml has what Helm asks for, and the files that it takes from elsewhere are there."""
    about = yaml.load((CHART / "Chart.yaml").read_text(), Strict)
    version = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
    need(about["apiVersion"] == "v2", "Chart.yaml: apiVersion")
    need(about["type"] == "application", "Chart.yaml: type")
    need(about["name"] == CHART.name, "Chart.yaml: the name is the folder's")
    need(version.fullmatch(about["version"]), "Chart.yaml: version")
    need(oldest(about), "Chart.yaml: kubeVersion")
    workspace = tomllib.loads((DEPLOY.parent / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    need(about["appVersion"] == workspace, f"Chart.yaml: appVersion {about['appVersion']}, the program is {workspace}")
    links = [path for path in CHART.rglob("*") if path.is_symlink()]
    for path in links:
        real = path.resolve()
        # Helm packs what a link leads to.
        need(real.is_file() and DEPLOY in real.parents, f"{path.relative_to(CHART)} leads to {real}")
    linked = {path.resolve() for path in links}
    wanted = {DEPLOY / "prometheus/rules.yml", *(DEPLOY / "grafana").glob("*.json")}
    need(linked == wanted, f"files/: {sorted(map(str, linked ^ wanted))}")


def oldest(about):
    """The oldest Kubernetes that the chart is for."""
    found = re.fullmatch(r">=(\d+\.\d+)\.0-0", about["kubeVersion"])
    return found and found[1]


def schema_at(path):
    node = SCHEMA
    for key in path:
        node = node.get("properties", {}).get(key, {})
    return node


def schema():
    """values.yaml and the schema name the same; settings are those of deploy/CONFIGURATION.md, with its limits."""
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    defaults = yaml.load((CHART / "values.yaml").read_text(), Strict)

    def compare(node, values, path):
        dotted = ".".join(path)
        if dotted in TABLES:
            need(values.keys() <= node["properties"].keys(), f"{dotted}: not all keys of values.yaml are in the schema")
        elif "properties" in node:
            need(node.get("additionalProperties") is False, f"{dotted}: unknown keys are taken")
            there = set(node["properties"]) - ({"global"} if not path else set())
            need(there == values.keys(), f"{dotted}: {sorted(there ^ values.keys())} only in values.yaml or the schema")
            for key in there & values.keys():
                compare(node["properties"][key], values[key], (*path, key))
        else:
            need(node, f"{dotted}: not in the schema")

    compare(SCHEMA, defaults, ())
    tables = reference()
    need(tables.keys() == OWN | {heading for heading, _ in TABLES.values()}, f"tables: {sorted(tables)}")
    for dotted, (heading, left_out) in TABLES.items():
        keys = {key: rule for key, rule in tables[heading].items() if key not in left_out}
        node = schema_at(dotted.split("."))["properties"]
        gone = sorted(left_out - tables[heading].keys())
        need(not gone, f"{dotted}: {heading} has no {gone}")
        differ = sorted(node.keys() ^ keys.keys())
        need(not differ, f"{dotted}: {differ} only in the schema or in {heading}")
        for key in node.keys() & keys.keys():
            said = {word: rule for word, rule in node[key].items() if word not in {"minLength", "pattern"}}
            need(said == keys[key], f"{dotted}.{key}: schema {said}, {heading} {keys[key]}")


def reference():
    """deploy/CONFIGURATION.md: by table and key what the schema must say. Of storages, the keys of kind s3."""
    tables = {}
    heading = key = None
    for line in (DEPLOY / "CONFIGURATION.md").read_text().splitlines():
        if found := re.fullmatch(r"## `?(.+?)`?", line):
            heading = tables.setdefault(found[1], {})
        elif found := re.fullmatch(r"### `(.+)`", line):
            key = found[1]
        elif heading is None or key is None:
            continue
        elif found := re.match(r'- `"([^"]+)"`:', line):
            heading.get(key, {}).setdefault("enum", []).append(found[1])
        elif (kind := kind_of(line)) is not None and key not in heading:
            others = re.search(r'Of kind `"(\w+)"`', line)
            if others is None or others[1] == "s3":
                heading[key] = kind
    return tables


def kind_of(line):
    if found := re.match(r"A whole number, (\d+) to (\d+);", line):
        return {"type": "integer", "minimum": int(found[1]), "maximum": int(found[2])}
    kinds = {
        "A number with a fraction;": {"type": "number", "minimum": 0, "maximum": 100},
        "A text in quotes;": {"type": "string"},
        "True or false;": {"type": "boolean"},
        "A list;": {"type": "array", "items": {"type": "string"}},
        "A table;": {"type": "object"},
        "One of the words below;": {},
    }
    return next((kind for words, kind in kinds.items() if line.startswith(words)), None)


def used():
    """Templates name no value that there is not, and every value makes a difference somewhere."""
    defaults = yaml.load((CHART / "values.yaml").read_text(), Strict)
    named = set()
    for path in (CHART / "templates").iterdir():
        text = path.read_text()
        names = {"Values": ()}
        for name, rest in re.findall(r"\$(\w+) := \$?\.Values((?:\.\w+)*)", text):
            names[name] = tuple(rest.split(".")[1:])
        for name, rest in re.findall(r"[.$](\w+)((?:\.\w+)+)", text):
            if name in names:
                named.add((path.name, names[name] + tuple(rest.split(".")[1:])))
    need(len(named) > 100, f"only {len(named)} values are found in the templates")
    for name, path in sorted(named):
        node = defaults
        for key in path:
            node = node.get(key) if isinstance(node, dict) else None
        need(node is not None, f"{name}: there is no value {'.'.join(path)}")

    settings = [tuple(dotted.split(".")) for dotted in TABLES]
    bases = cases()
    before = {case.name: rendered("manifests", case.path)[0] for case in bases}

    def tables(tree, path=()):
        for key, value in tree.items():
            here = (*path, key)
            if isinstance(value, dict) and here not in settings and "properties" in schema_at(here):
                yield from tables(value, here)
            else:
                yield here

    n = 0
    for path in tables(defaults):
        n += 1
        need(any(differs(case, path, before[case.name]) for case in bases), f"{'.'.join(path)} makes no difference")
    print(f"note: {n} values")


def differs(case, path, before):
    old = functools.reduce(lambda tree, key: tree[key], path, case.values)
    node = schema_at(path)
    if isinstance(old, bool):
        new = not old
    elif "enum" in node:
        new = next(word for word in reversed(node["enum"]) if word != old)
    elif isinstance(old, (int, float)):
        new = old + 1
    elif isinstance(old, str):
        new = old + "9"
    elif isinstance(old, list):
        one = {"name": "other", "existingSecret": "other"}
        new = [*old, one if node["items"]["type"] == "object" else "other"]
    else:
        new = {**old, "other": "other"}
    over = functools.reduce(lambda tree, key: {key: tree}, reversed(path), new)
    after = rendered("manifests", case.path, laid("other", over))[0]
    return after not in (None, before)


def numbers():
    """Numbers from --set are integers, and those of files fractions: both come out the same."""
    n = 0
    for case in cases():
        before = {what: rendered(what, case.path) for what in ("manifests", "notes")}
        for path, value in leaves(case.values):
            if isinstance(value, int) and not isinstance(value, bool) and all(isinstance(key, str) for key in path):
                n += 1
                given = f"{'.'.join(path)}={value}"
                for what, text in before.items():
                    case.need(rendered(what, case.path, given) == text, f"--set {given}")
    print(f"note: {n}")


def refusals():
    """Values that are refused, and with which words; no `fail` is without a case."""
    table = yaml.load((TEST / "refusals.yaml").read_text(), Strict)
    validator = jsonschema.Draft7Validator(SCHEMA)
    smallest = TEST / "values/smallest.yaml"
    for row in table:
        over = laid("refused", row["values"])
        merged = json.loads(rendered("values", smallest, over)[0])
        faults = [f"{'.'.join(map(str, each.path))}: {each.message}" for each in validator.iter_errors(merged)]
        if row["by"] == "templates":
            need(not faults, f"{row['values']}: the schema says {faults}")
            faults = [rendered("manifests", smallest, over)[1] or ""]
        need(any(row["says"] in fault for fault in faults), f"{row['values']}: {faults} and not {row['says']!r}")
    words = "\n".join(row["says"] for row in table if row["by"] == "templates")
    fails = re.findall(r'fail "([^"]+)"', "".join(path.read_text() for path in (CHART / "templates").iterdir()))
    need(len(fails) > 5, f"only {len(fails)} of fail are found")
    for text in fails:
        need(text in words, f"refusals.yaml has nothing for: {text}")
    print(f"note: {len(table)}")


# ---- What is rendered -------------------------------------------------------------------------------------------


def values():
    """Every case passes the schema, once its values are laid upon those of the chart, as Helm does it."""
    validator = jsonschema.Draft7Validator(SCHEMA)
    for path in [None, *sorted((TEST / "values").glob("*.yaml"))]:
        merged = json.loads(rendered("values", *([path] if path else []))[0])
        for fault in validator.iter_errors(merged):
            need(False, f"{path.stem if path else 'values.yaml'}: {'.'.join(map(str, fault.path))}: {fault.message}")


def kinds():
    """Kubernetes takes every object: the oldest that the chart is for, and the newest that is known here."""
    kubernetes.schema_contents = functools.lru_cache(maxsize=None)(kubernetes.schema_contents)
    versions = [oldest(yaml.safe_load((CHART / "Chart.yaml").read_text())), kubernetes.latest_version()]
    # For an older one than it has, the package would take the next best.
    need(f"{versions[0]}.0" in kubernetes.all_versions(), f"no schema for {versions[0]}")
    n = 0
    for case in cases():
        names = [(each["kind"], each["metadata"]["name"]) for each in case.objects]
        case.need(len(set(names)) == len(names), f"two objects of a name: {sorted(names)}")
        for each in case.objects:
            name = each["metadata"]["name"]
            case.need(re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name), f"{name} is no name")
            if each["apiVersion"].startswith("monitoring.coreos.com/"):
                continue
            n += 1
            for version in versions:
                fault = refused(each, version)
                case.need(fault is None, f"{each['kind']} {name}: {fault}")
    for mutant in [{"replicas": "three"}, {"replica": 3}]:
        for version in versions:
            deployment = case.deployment | {"spec": case.deployment["spec"] | mutant}
            need(refused(deployment, version), f"{version}: a Deployment with {mutant} is taken")
    print(f"note: {n} objects, Kubernetes {versions[0]} and {kubernetes.major_minor(versions[1])}")


def refused(document, version):
    try:
        kubernetes.validate(document, version, strict=True)
    except (kubernetes.ValidationError, kubernetes.SchemaNotFoundError) as fault:
        return fault.message
    return None


def operator():
    """The kinds of the Prometheus operator have their shape, and promtool takes the rules."""
    source = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"]
    alerts = [rule["alert"] for group in source for rule in group["rules"] if "alert" in rule]
    for case in cases():
        wanted = case.values["metrics"]
        for kind, switch in [("ServiceMonitor", "serviceMonitor"), ("PrometheusRule", "prometheusRule")]:
            case.need(len(case.all(kind)) == int(wanted[switch]["enabled"]), f"{len(case.all(kind))} of {kind}")
            for each in case.all(kind):
                case.need(each["apiVersion"] == "monitoring.coreos.com/v1", f"{kind}: {each['apiVersion']}")
                case.need(set(each) == {"apiVersion", "kind", "metadata", "spec"}, f"{kind}: {set(each)}")
                case.need(within(wanted[switch]["labels"], each["metadata"]["labels"]), f"{kind}: labels")
        for monitor in case.all("ServiceMonitor"):
            spec = monitor["spec"]
            case.need(set(spec) == {"selector", "namespaceSelector", "endpoints"}, f"ServiceMonitor: {set(spec)}")
            case.need(spec["namespaceSelector"] == {"matchNames": [NAMESPACE]}, "ServiceMonitor: another namespace")
            wanted_labels = spec["selector"]["matchLabels"]
            services = [each for each in case.all("Service") if within(wanted_labels, each["metadata"]["labels"])]
            case.need(len(services) == 1, f"ServiceMonitor: finds {len(services)} Services")
            (endpoint,) = spec["endpoints"]
            case.need(set(endpoint) == {"port", "path", "interval", "relabelings"}, f"endpoint: {set(endpoint)}")
            case.need(endpoint["port"] in [port["name"] for port in services[0]["spec"]["ports"]], "endpoint: port")
            case.need(services[0]["spec"]["publishNotReadyAddresses"], "a pod that drains would not be asked")
            known = {"action", "sourceLabels", "targetLabel", "replacement"}
            case.need(all(set(each) <= known for each in endpoint["relabelings"]), "endpoint: relabelings")
            job = [each["replacement"] for each in endpoint["relabelings"] if each["targetLabel"] == "job"]
            case.need(len(job) == 1 and "restante" in job[0], f"job: {job}; the rules look for restante")
        for rules in case.all("PrometheusRule"):
            case.need(set(rules["spec"]) == {"groups"}, f"PrometheusRule: {set(rules['spec'])}")
            found = [rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
            case.need([rule["alert"] for rule in found] == alerts, "PrometheusRule: not the alerts of rules.yml")
            base = case.values["runbooks"]["baseUrl"].rstrip("/")
            for rule in found:
                link = rule["annotations"].get("runbook_url", "")
                page = link.removeprefix(f"{base}/") if base else f"{rule['alert']}.md"
                case.need((DEPLOY / "runbooks" / page).is_file(), f"{rule['alert']}: runbook {link!r}")
            path = WORK / f"rules-{case.name}.yml"
            path.write_text(yaml.safe_dump(rules["spec"]))
            done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
            case.need(done.returncode == 0, f"promtool: {done.stdout}{done.stderr}")


def selectors():
    """Whatever chooses pods chooses the frontends, and not the migration's."""
    for case in cases():
        frontend, *others = [pod["metadata"]["labels"] for pod in case.pods]
        chosen = {"Deployment": case.deployment["spec"]["selector"]["matchLabels"]}
        for each in case.all("Service"):
            chosen[f"Service {each['metadata']['name']}"] = each["spec"]["selector"]
        for each in case.all("PodDisruptionBudget"):
            chosen["PodDisruptionBudget"] = each["spec"]["selector"]["matchLabels"]
        for each in case.all("NetworkPolicy"):
            chosen["NetworkPolicy"] = each["spec"]["podSelector"]["matchLabels"]
        for each in case.pods[0]["spec"]["topologySpreadConstraints"]:
            chosen[f"spread over {each['topologyKey']}"] = each["labelSelector"]["matchLabels"]
        for who, labels in chosen.items():
            case.need(within(labels, frontend), f"{who} does not find the frontends")
            case.need(not any(within(labels, other) for other in others), f"{who} finds the migration")
        case.need("helm.sh/chart" not in frontend, "a new version of the chart alone starts all frontends anew")


def ports():
    """Ports of Services, policies, probes, containers and listeners are the same."""
    for case in cases():
        container = {port["name"]: port["containerPort"] for port in case.container["ports"]}
        case.need(len(container) == len(case.container["ports"]), "two ports of one name")
        case.need(all(len(name) <= 15 for name in container), f"a name of more than 15: {sorted(container)}")
        config = case.toml()
        addresses = [listener["address"] for listener in config["listener"]]
        addresses += [config["admin"][key] for key in ("address", "metrics_address") if key in config["admin"]]
        listening = sorted(int(address.rpartition(":")[2]) for address in addresses)
        case.need(listening == sorted(container.values()), f"listens on {listening}, the container has {container}")
        named = []
        for each in case.all("Service"):
            where = each["metadata"]["name"]
            case.need(each["spec"]["ports"], f"{where}: no port")
            named += [(where, port["targetPort"]) for port in each["spec"]["ports"]]
        for each in case.all("NetworkPolicy"):
            rules = each["spec"]["ingress"] or []
            named += [("NetworkPolicy", port["port"]) for rule in rules for port in rule["ports"]]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            named.append((probe, case.container[probe]["httpGet"]["port"]))
        for where, name in named:
            case.need(name in container, f"{where}: the container has no port {name}")


def mounts():
    """Volumes and mounts belong together; every path of the configuration lies in one, writable where it must be."""
    for case in cases():
        for pod in case.pods:
            spec = pod["spec"]
            volumes = {volume["name"]: volume for volume in spec["volumes"]}
            containers = spec["containers"] + spec.get("initContainers", [])
            mounted = [mount for container in containers for mount in container["volumeMounts"]]
            case.need(len(volumes) == len(spec["volumes"]), "two volumes of one name")
            case.need({mount["name"] for mount in mounted} == volumes.keys(), "not the volumes that are mounted")
            for container in containers:
                paths = [mount["mountPath"] for mount in container["volumeMounts"]]
                case.need(len(set(paths)) == len(paths), f"two mounts at one place: {paths}")
            name = volumes["config"]["configMap"]["name"]
            case.need("restante.toml" in case.one("ConfigMap", name)["data"], f"ConfigMap {name}")
            main = {mount["mountPath"]: mount for mount in spec["containers"][0]["volumeMounts"]}
            # Where the program looks, and the image puts nothing.
            case.need(main["/etc/restante"]["name"] == "config", "no configuration")
            sources = volumes.get("secrets", {}).get("projected", {}).get("sources", [])
            items = [item["path"] for source in sources for item in source["secret"]["items"]]
            case.need(len(set(items)) == len(items), f"two Secrets at one place: {items}")
            for path, value in leaves(case.toml()):
                if not (isinstance(value, str) and value.startswith("/")):
                    continue
                at = [place for place in main if value.startswith(f"{place}/")]
                where = f"{'.'.join(map(str, path))} = {value}"
                case.need(len(at) == 1, f"{where}: in {len(at)} mounts")
                if at:
                    writes = path[-1].endswith("path")
                    case.need(writes != main[at[0]].get("readOnly", False), f"{where}: the mount's readOnly")
                if at == ["/run/secrets/restante"]:
                    case.need(value.removeprefix(f"{at[0]}/") in items, f"{where}: no Secret has it")


def leaving():
    """A pod has the time that its drain may take."""
    for case in cases():
        drain = case.toml()["drain"]
        grace = case.pods[0]["spec"]["terminationGracePeriodSeconds"]
        longest = drain["lame_duck_secs"] + drain["deadline_secs"]
        case.need(grace > longest, f"killed after {grace} s, but it may drain for {longest} s")
        progress = case.deployment["spec"]["progressDeadlineSeconds"]
        case.need(progress > grace, f"a rollout fails after {progress} s, a pod may take {grace} s")
        probe = case.container["readinessProbe"]
        noticed = probe["failureThreshold"] * (probe["periodSeconds"] + probe["timeoutSeconds"])
        case.need(noticed < drain["lame_duck_secs"], f"not ready after {noticed} s, listeners close after {drain} s")


def migration():
    """It is the same program with the same configuration, secrets and environment, before everything else."""
    for case in cases():
        jobs = case.all("Job")
        case.need(len(jobs) == int(case.values["migration"]["enabled"]), f"{len(jobs)} of Job")
        for job in jobs:
            own, other = case.pods[0]["spec"], job["spec"]["template"]["spec"]
            (container,) = other["containers"]
            case.need(container["image"] == case.container["image"], f"image {container['image']}")
            case.need(container["args"] == ["migrate"], f"args {container['args']}")
            case.need(container["volumeMounts"] == case.container["volumeMounts"], "volumeMounts")
            case.need(other.get("initContainers") == own.get("initContainers"), "initContainers")
            env = [each for each in case.container["env"] if each["name"] != "RESTANTE__LOCK__NODE"]
            case.need(container.get("env", []) == env, "env")
            config = case.one("ConfigMap", other["volumes"][0]["configMap"]["name"])
            case.need(other["volumes"][1:] == own["volumes"][1:], "volumes")
            case.need(config["data"]["restante.toml"] == case.toml_text(), "restante.toml")
            notes = [each["metadata"]["annotations"] for each in (config, job)]
            case.need(all(each["helm.sh/hook"] == "pre-install,pre-upgrade" for each in notes), "hooks")
            weights = [int(each["helm.sh/hook-weight"]) for each in notes]
            case.need(weights[0] < weights[1], f"hook-weight {weights}: the configuration comes first")
        hooked = [each["kind"] for each in case.objects if "helm.sh/hook" in each["metadata"].get("annotations", {})]
        case.need(sorted(hooked) == ["ConfigMap", "Job"] * len(jobs), f"hooks: {hooked}")


def scaling():
    """The autoscaler finds the Deployment, which then says no number, and the metric it goes by is one of ours."""
    metrics = re.findall(r"^\| `(\w+)` \|", (DEPLOY / "METRICS.md").read_text(), re.M)
    for case in cases():
        scalers = case.all("HorizontalPodAutoscaler")
        case.need(len(scalers) == int(case.values["autoscaling"]["enabled"]), f"{len(scalers)} autoscalers")
        case.need(("replicas" in case.deployment["spec"]) == (not scalers), "replicas beside an autoscaler")
        for scaler in scalers:
            target = scaler["spec"]["scaleTargetRef"]
            wanted = {"apiVersion": "apps/v1", "kind": "Deployment", "name": case.deployment["metadata"]["name"]}
            case.need(target == wanted, f"scaleTargetRef {target}")
            for metric in scaler["spec"]["metrics"]:
                if metric["type"] == "Pods":
                    case.need(metric["pods"]["metric"]["name"] in metrics, f"there is no metric {metric['pods']}")
                    number = metric["pods"]["target"]["averageValue"]
                    case.need(re.fullmatch(r"\d+", number), f"averageValue {number}")
        fewest = scalers[0]["spec"]["minReplicas"] if scalers else case.deployment["spec"]["replicas"]
        budgets = case.all("PodDisruptionBudget")
        wanted = case.values["podDisruptionBudget"]["enabled"] and fewest > 1
        case.need(len(budgets) == int(wanted), f"{len(budgets)} budgets for {fewest} frontends")


def secrets():
    """Secrets stay Secrets: none in a ConfigMap or a plain variable, and each one that is named is mounted."""
    for case in cases():
        case.need(not case.all("Secret"), "the chart makes a Secret")
        for each in case.all("ConfigMap"):
            text = "\n".join(each["data"].values())
            name = each["metadata"]["name"]
            case.need(not re.search(r"://[^/@\s\"]*:[^/@\s\"]+@", text), f"{name}: a password in a URL")
            case.need("PRIVATE KEY" not in text, f"{name}: a key")
        for path, _ in leaves(case.toml()):
            secret = re.search(r"(password|token|secret|keys?)$", str(path[-1]))
            case.need(not secret or "secrets" in path, f"restante.toml: {path}")
        mounted = set()
        for pod in case.pods:
            for container in pod["spec"]["containers"] + pod["spec"].get("initContainers", []):
                for env in container.get("env", []):
                    plain = "value" in env and re.search(r"URL|PASSWORD|SECRET|TOKEN|KEY", env["name"])
                    case.need(not plain, f"{env['name']} is plain")
                    mounted.add(env.get("valueFrom", {}).get("secretKeyRef", {}).get("name"))
            for volume in pod["spec"]["volumes"]:
                mounted.add(volume.get("secret", {}).get("secretName"))
                for source in volume.get("projected", {}).get("sources", []):
                    mounted.add(source["secret"]["name"])
        keys = [(str(path[-1]).lower(), value) for path, value in leaves(case.values)]
        named = {value for key, value in keys if key.endswith("existingsecret") and value}
        case.need(named <= mounted, f"named, and not mounted: {sorted(named - mounted)}")


def hardened():
    """Pods pass the strictest standard (`restricted`), read-only, without the cluster's token; images are fixed."""
    for case in cases():
        for pod in case.pods:
            spec = pod["spec"]
            case.need(spec["automountServiceAccountToken"] is False, "a token of the cluster is mounted")
            case.need(spec["securityContext"]["runAsNonRoot"] is True, "runAsNonRoot")
            case.need(spec["securityContext"]["runAsUser"] > 0, "runAsUser")
            case.need(spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, "seccompProfile")
            case.need(not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), "the host's namespaces")
            case.need(not any("hostPath" in volume for volume in spec["volumes"]), "hostPath")
            for container in spec["containers"] + spec.get("initContainers", []):
                context = container["securityContext"]
                name = container["name"]
                case.need(context["readOnlyRootFilesystem"] is True, f"{name}: readOnlyRootFilesystem")
                case.need(context["allowPrivilegeEscalation"] is False, f"{name}: allowPrivilegeEscalation")
                case.need(context["capabilities"] == {"drop": ["ALL"]}, f"{name}: capabilities")
                case.need(not context.get("privileged"), f"{name}: privileged")
                fixed = r"\S+(:[^/:@]*\d+\.\d+[^/:@]*|@sha256:[0-9a-f]{64})"
                case.need(re.fullmatch(fixed, container["image"]), f"{container['image']} is no fixed image")
                case.need("memory" in container["resources"]["limits"], f"{name}: memory without a limit")
        accounts = [each["metadata"]["name"] for each in case.all("ServiceAccount")]
        own = case.pods[0]["spec"]["serviceAccountName"]
        case.need(accounts == ([own] if case.values["serviceAccount"]["create"] else []), f"accounts {accounts}, {own}")


def restarts():
    """A change of the configuration starts the pods anew, and a change of anything beside them does not."""
    for case in cases():
        def pod(values, case=case):
            (found,) = [each for each in objects(case.path, laid("changed", values)) if each["kind"] == "Deployment"]
            return found["spec"]["template"]

        before = case.pods[0]
        after = pod({"limits": {"bad_commands": 7}})
        same = before["metadata"]["annotations"] == after["metadata"]["annotations"]
        case.need(not same, "checksum/config stays when the configuration changes")
        beside = {"replicas": 9, "service": {"lmtp": {"port": 2424}}, "networkPolicy": {"metricsFrom": []}}
        case.need(pod(beside) == before, "pods are made anew for what is beside them")


def policy():
    """Who reaches what: nobody LMTP, metrics and the admin API unless named."""
    for case in cases():
        policies = case.all("NetworkPolicy")
        wanted = case.values["networkPolicy"]
        case.need(len(policies) == int(wanted["enabled"]), f"{len(policies)} of NetworkPolicy")
        for each in policies:
            case.need("Ingress" in each["spec"]["policyTypes"], "ways in stay open")
            rules = each["spec"]["ingress"] or []
            case.need(all(rule.get("ports") for rule in rules), "a rule for all ports")
            for port, key in [("lmtp", "lmtpFrom"), ("metrics", "metricsFrom"), ("admin", "adminFrom")]:
                open_to = [rule for rule in rules if port in [at["port"] for at in rule["ports"]]]
                found = [rule.get("from", "everybody") for rule in open_to]
                is_there = wanted[key] and port in [at["name"] for at in case.container["ports"]]
                case.need(found == ([wanted[key]] if is_there else []), f"{port}: from {found}")
            found = [rule for rule in rules if {at["port"] for at in rule["ports"]} & {"pop3", "pop3s"}]
            case.need([rule.get("from", []) for rule in found] == [wanted["pop3From"]], f"pop3: {found}")
            egress = wanted["egress"]
            case.need(("Egress" in each["spec"]["policyTypes"]) == egress["enabled"], "Egress")
            if egress["enabled"]:
                dns, *rest = each["spec"]["egress"]
                case.need({at["port"] for at in dns["ports"]} == {53}, "egress: DNS is closed")
                case.need(rest == egress["rules"], f"egress: {rest}")


def boards():
    """Dashboards are whole, fit into a ConfigMap, and bear the sidecar's label."""
    for case in cases():
        wanted = case.values["metrics"]["dashboards"]
        found = [each for each in case.all("ConfigMap") if "-board-" in each["metadata"]["name"]]
        sources = sorted((DEPLOY / "grafana").glob("*.json")) if wanted["enabled"] else []
        case.need(len(found) == len(sources), f"{len(found)} boards")
        for each, source in zip(found, sources):
            name = each["metadata"]["name"]
            size = sum(len(key) + len(text.encode()) for key, text in each["data"].items())
            case.need(size < 1 << 20, f"{name}: {size} octets; a ConfigMap holds 1 MiB")
            case.need(within(wanted["labels"], each["metadata"]["labels"]), f"{name}: labels")
            case.need(list(each["data"]) == [f"restante-{source.name}"], f"{name}: {list(each['data'])}")
            (text,) = each["data"].values()
            board, original = json.loads(text), json.loads(source.read_text())
            link, blank = [whole["templating"]["list"].pop() for whole in (board, original)]
            case.need(board == original, f"{name}: another board than {source.name}")
            base = case.values["runbooks"]["baseUrl"].rstrip("/")
            case.need(link["name"] == "runbooks" and link["query"] == base, f"{name}: runbooks {link}")
            case.need(base or link == blank, f"{name}: runbooks {link}")


def notes():
    """What is said after an installation: short, and of objects that there are."""
    for case in cases():
        text, complaint = rendered("notes", case.path)
        if complaint:
            sys.exit(complaint)
        case.need(text.strip() and len(text.splitlines()) < 40, f"{len(text.splitlines())} lines")
        case.need(not re.search(r"[ \t]$|\n\n\n", text, re.M), "blanks")
        there = {(each["kind"].lower(), each["metadata"]["name"]) for each in case.objects}
        named = re.findall(r"\b(deployment|service|job)[/ ](\S+)", text)
        case.need(named, "names no object")
        named += [("service", name) for name in re.findall(rf"(\S+)\.{NAMESPACE}\.svc\b", text)]
        for kind, name in named:
            case.need((kind, name) in there, f"there is no {kind} {name}")


# ---- With the program -------------------------------------------------------------------------------------------


def configuration(program):
    """The program takes every configuration; files that it names are made here."""
    for case in cases():
        root = WORK / "root" / case.name
        text = re.sub(r'"(/run/[^"]+)"', lambda found: json.dumps(str(made(root, found[1]))), case.toml_text())
        file = root / "restante.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        env = {key: value for key, value in os.environ.items() if not key.startswith("RESTANTE_")}
        for each in case.container["env"]:
            is_url = each["name"].endswith("URL")
            sample = "postgres://restante:word@db.example.org/restante" if is_url else "restante-5c9d"
            env[each["name"]] = each.get("value", sample)
        ask = [program, "check-config", "--offline", "--config", file]
        done = subprocess.run(ask, env=env, capture_output=True, text=True, check=False)
        case.need(done.returncode == 0, f"{done.stdout}{done.stderr}")


def made(root, path):
    """A file like the one that a Secret would have."""
    file = root / path.lstrip("/")
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    pair = WORK / "pair.crt", WORK / "pair.key"
    if not pair[0].exists():
        new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-out", pair[0]]
        new += ["-keyout", pair[1], "-subj", "/CN=pop", "-addext", "subjectAltName=DNS:pop.example.org"]
        subprocess.run(new, check=True, capture_output=True)
    contents = {
        "tls.crt": pair[0].read_text(),
        "tls.key": pair[1].read_text(),
        "ca.crt": pair[0].read_text(),
        "clients.pem": pair[0].read_text(),
        "issuers.pem": pair[0].read_text(),
        "keys": f"1:{os.urandom(32).hex()}\n",
        "token": f"{os.urandom(32).hex()}\n",
        "credentials": "[default]\naws_access_key_id = id\naws_secret_access_key = word\n",
        "headers": "Authorization: Bearer word\n",
        "password": "word\n",
        "archive.key": "word\n",
    }
    file.touch(mode=0o600)
    file.write_text(contents[file.name])
    return file


def readme(program):
    """README.md shows what is tested, and names commands and values that there are."""
    text = README.read_text()
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    shown = [yaml.load(body, Strict) for kind, body in blocks if kind == "yaml"]
    smallest = yaml.safe_load((TEST / "values/smallest.yaml").read_text())
    need(shown[0] == smallest, "the first values are not test/values/smallest.yaml")
    for given in shown:
        if "rules" not in given:
            path = laid("shown", given)
            merged = json.loads(rendered("values", TEST / "values/smallest.yaml", path)[0])
            faults = [each.message for each in jsonschema.Draft7Validator(SCHEMA).iter_errors(merged)]
            complaint = rendered("manifests", TEST / "values/smallest.yaml", path)[1]
            need(not faults and complaint is None, f"{given}: {faults} {complaint}")
    (rule,) = [each["rules"]["custom"] for each in shown if "rules" in each]
    scaler = Case(TEST / "values/s3-everything.yaml").one("HorizontalPodAutoscaler")
    metric = [each["pods"]["metric"]["name"] for each in scaler["spec"]["metrics"] if each["type"] == "Pods"]
    served = [each["name"]["as"] for each in rule]
    need(served == metric, f"the adapter serves {served}, the autoscaler asks for {metric}")
    commands = set(re.findall(r"restante -- /usr/bin/restante ((?:[a-z][a-z-]* ?)+)", text))
    need(len(commands) > 5, f"only {len(commands)} commands are found")
    for command in commands:
        words = command.split()
        # The words that are commands, and then one that is an argument.
        known = any(
            subprocess.run([program, *words[:n], "--help"], capture_output=True, check=False).returncode == 0
            for n in range(len(words), 0, -1)
        )
        need(known, f"restante {command}")
    print(f"note: {len(commands)} commands")


if __name__ == "__main__":
    name, work, *program = sys.argv[1:]
    WORK = pathlib.Path(work)
    checks = [chart, schema, used, numbers, refusals, values, kinds, operator, selectors, ports, mounts, leaving]
    checks += [migration, scaling, secrets, hardened, restarts, policy, boards, notes, configuration, readme]
    {check.__name__: check for check in checks}[name](*program)
    for problem in PROBLEMS:
        print(problem)
    sys.exit(1 if PROBLEMS else 0)
