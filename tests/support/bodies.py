"""Bodies of answers, by whose word they are."""

PAGE = b"<!DOCTYPE html>\n<html><head><title>Attention Required! | Cloudflare</title></head></html>"
OF_IFOOD = [
    b"",
    b" \r\n",
    b"null",
    b"[]",
    b"{}",
    b'{"sales": []}',
    b'\xef\xbb\xbf{"error": {"code": "404", "message": "No sales found"}}',
    b'{"message": "user is forbidden to access merchant"}',
    b'{"message": "Unauthorized"}',
    b'{"error": {"message": "no Route matched with those values"}}',
    b'{"sales": [' + b"1, " * 5_000 + b"1]}",
    b'{"a": NaN}',
]
NOTES = [
    "no Route matched with those values",
    "An invalid response was received from the upstream server",
    "The upstream server is currently unavailable",
    "The upstream server is timing out",
    "failure to get a peer from the ring-balancer",
    "name resolution failed",
    "Your IP address is not allowed",
]
OF_A_GATEWAY = [
    PAGE,
    b"\xef\xbb\xbf  <html>",
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    b"Forbidden",
    b"404 page not found",
    b"no healthy upstream",
    b'"Not Found"',
    b"\x00\x01",
    *(b'{"message":"%s"}' % note.encode() for note in NOTES),
    *(b'{\n  "message":"%s",\n  "request_id":"1579e"\n}' % note.encode() for note in NOTES),
]
CUT = [
    b'{"error": {"code": "404", "mess',
    b'{"message":"no Route matched with tho',
    b"[{",
    b"[WAF] blocked",
    b'{"sales": [' + b'{"id": 1}, ' * 5_000 + b'{"id',
    b'{"a": "\xff"}',
]
