"""Asks every GET that /openapi.json names, with and without each of its parameters.

The last line says how many requests were made; any other is a complaint.
"""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request

BASE = sys.argv[1]
# No proxy of the environment stands between this and the node.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# What no schema says: values that find something.
FOUND = {
    "ip": "198.18.0.7",
    "source": "198.18.0.7",
    "number": "+442071234567",
    "prefix": "+44",
    "format": "plain",
    "file": "manifest.json",
    "method": "INVITE",
    "country": "GB",
    "key": "k",
    "after": "00000000-0",
}
complaints = []
requests = 0


def get(target):
    """Status, content type and body; of a stream that never ends only the beginning."""
    global requests
    requests += 1
    try:
        with OPENER.open(BASE + target, timeout=60) as answer:
            media = answer.headers.get_content_type()
            body = answer.readline() if media == "text/event-stream" else answer.read()
            return answer.status, media, body
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get_content_type(), error.read()


def value(parameter):
    schema = parameter["schema"]
    if parameter["name"] in FOUND:
        return FOUND[parameter["name"]]
    if "enum" in schema:
        return schema["enum"][-1]
    if schema["type"] == "integer":
        return str(schema.get("default", schema.get("minimum", 1)) or 1)
    return "2020-01-01T00:00:00Z" if schema.get("format") == "date-time" else "x"


def resolved(document, parameter):
    place = document
    for name in parameter.get("$ref", "#").split("/")[1:]:
        place = place[name]
    return place if "$ref" in parameter else parameter


def media_of(operation, status):
    responses = operation["responses"]
    response = responses.get(str(status), responses["default"])
    return list(response.get("content", {}))


def ask(operation, target):
    status, media, body = get(target)
    named = str(status) in operation["responses"]
    # Whoever asks for what is not there, for a set that would be empty, or shows a token in the path
    # that is none, is told so.
    refused = (400, 401, 404, 409) if "{key}" in operation["path"] else (400, 404, 409)
    if not named and status not in refused:
        complaints.append(f"{target}: {status} {body[:200]}")
    if media not in media_of(operation, status) and named and "{format}" not in operation["path"]:
        complaints.append(f"{target}: {status} is {media}, not {media_of(operation, status)}")
    if media.endswith("json"):
        json.loads(body)
    return status


document = json.loads(get("/openapi.json")[2])
for path, methods in document["paths"].items():
    if "get" not in methods:
        continue
    operation = dict(methods["get"], path=path)
    target = path
    for parameter in methods.get("parameters", []):
        name = parameter["name"]
        filled = urllib.parse.quote(FOUND.get(name, "x"), safe="")
        if path == "/api/v1/events/{id}":
            filled = json.loads(get("/api/v1/events?limit=1")[2])["events"][0]["id"]
        target = target.replace("{" + name + "}", filled)
    needs_a_parameter = path == "/api/v1/check"
    status = ask(operation, target)
    if status != 200 and not needs_a_parameter and path != "/api/v1/allow-list":
        if not path.startswith("/api/{key}/"):
            complaints.append(f"{target}: {status} without a parameter")
    for parameter in operation["parameters"]:
        parameter = resolved(document, parameter)
        query = urllib.parse.urlencode({parameter["name"]: value(parameter)})
        status = ask(operation, f"{target}?{query}")
        if status == 400 and parameter["name"] not in ("cursor", "prefix"):
            complaints.append(f"{target}?{query}: {status}")

print("\n".join(complaints + [f"{requests} requests"]))
sys.exit(bool(complaints) or requests < 100)
