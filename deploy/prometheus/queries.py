"""What `check` and `live` both need: to read dashboards, and to see which metrics and labels a query names."""

import json
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
DEPLOY = HERE.parent
GRAFANA = DEPLOY / "grafana"
RUNBOOKS = DEPLOY / "runbooks"

# Words of PromQL that are no metric. What is followed by a parenthesis is a function and needs no list.
WORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan"}
AGGREGATIONS = {"sum", "min", "max", "avg", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile"}
LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
      | (?P<span>\[[^\]]*\])
      | (?P<number>\d+[\d.]*(?:e[+-]?\d+|ms|[smhdwy])?)
      | (?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
      | (?P<other>.)""",
    re.X | re.S,
)
MATCHER = re.compile(r'\s*([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")\s*,?')


def selectors(expr):
    """Every selector of a query: the metric, its matchers as (label, operator, value), and its text."""
    return parsed(expr)[0]


def grouped_by(expr):
    """Every label that stands in a list of by, on, ignoring and the like."""
    return parsed(expr)[1]


def spans(expr):
    """The function before each time span, and the span."""
    return parsed(expr)[2]


def parsed(expr):
    found, labels, ranges = [], set(), []
    functions, at = [], 0
    while at < len(expr):
        token = TOKEN.match(expr, at)
        at = token.end()
        if token.lastgroup == "other":
            if token.group() == "(":
                functions.append(None)
            elif token.group() == ")" and functions:
                functions.pop()
        elif token.lastgroup == "span":
            inner = next((name for name in reversed(functions) if name), "")
            ranges.append((inner, token.group()[1:-1]))
        elif token.lastgroup == "word":
            word = token.group()
            following = re.compile(r"\s*").match(expr, at).end()
            opens = expr[following : following + 1]
            if word.lower() in LISTS and opens == "(":
                end = expr.index(")", following)
                labels |= {label.strip() for label in expr[following + 1 : end].split(",") if label.strip()}
                at = end + 1
            elif opens == "(":
                functions.append(word)
                at = following + 1
            elif word.lower() not in WORDS | AGGREGATIONS | LISTS:
                matchers, text = [], word
                if opens == "{":
                    inside = following + 1
                    while (one := MATCHER.match(expr, inside)) is not None:
                        matchers.append((one.group(1), one.group(2), json.loads(one.group(3))))
                        inside = one.end()
                    end = expr.index("}", inside) + 1
                    text, at = expr[token.start() : end], end
                found.append((word, matchers, text))
    return found, labels, ranges


def boards():
    """The dashboards that are checked in: file name and content."""
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(GRAFANA.glob("*.json"))}


def panels(board):
    """All panels but rows, also those of folded rows."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def substituted(expr, board, rate_interval, span):
    """A query as a board sends it when all is chosen."""
    values = {"__rate_interval": rate_interval, "__interval": rate_interval, "__range": span}
    for variable in board["templating"]["list"]:
        values[variable["name"]] = variable.get("allValue") or ""
    return re.sub(r"\$\{?(\w+)(?::\w+)?\}?", lambda name: values.get(name.group(1), name.group(0)), expr)


def listed(path, parts):
    """The lines of a list with a reason at the end of each, as tuples; `|` stands between the parts."""
    answer = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            fields = tuple(field.strip() for field in line.split("|"))
            if len(fields) != parts or not all(fields):
                raise SystemExit(f"{path.name}:{number}: {parts} parts are wanted, with | between them")
            answer.append(fields)
    return answer
