#!/usr/bin/env python3
"""Writes what jinja2 makes of the cases in *.cases into *.golden.

    python3 -m pip install jinja2==3.1.6
    python3 internal/jinja/testdata/reference.py

A case is a line "=== name" and the template under it. The environment is the
one of transformers' chat templates, the variables are in context.json, the
clock stands at 2026-01-05 09:08:07.
"""
import datetime, glob, json, os, sys

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("same"), [], [], body).set_lineno(line)

    def same(self, caller):
        return caller()


class Raised(TemplateError):
    pass


def raise_exception(message):
    raise Raised(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def strftime_now(format):
    return datetime.datetime(2026, 1, 5, 9, 8, 7).strftime(format)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = raise_exception
env.globals["strftime_now"] = strftime_now


def kind(e):
    for k, types in (("raise", Raised), ("syntax", (TemplateSyntaxError, SyntaxError)), ("undefined", UndefinedError), ("security", SecurityError),
                     ("type", TypeError), ("key", LookupError), ("value", (ValueError, ArithmeticError))):
        if isinstance(e, types):
            return k
    return "runtime"


def render(source, context):
    try:
        return "ok", env.from_string(source).render(context)
    except RecursionError:
        raise
    except Exception as e:
        return kind(e), str(e)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    context = json.load(open(os.path.join(here, "context.json"), encoding="utf-8"))
    for name in sorted(glob.glob(os.path.join(here, "*.cases"))):
        text = open(name, encoding="utf-8", newline="").read()
        out = []
        for part in text.split("=== ")[1:]:
            title, _, source = part.partition("\n")
            what, result = render(source[:-1] if source.endswith("\n") else source, context)
            out.append(json.dumps({"case": title, what: result}, ensure_ascii=False))
        with open(name[: -len(".cases")] + ".golden", "w", encoding="utf-8") as f:
            f.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
