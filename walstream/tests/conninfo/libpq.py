"""What libpq makes of connection strings.

Called as: python3 libpq.py LIBPQ < QUESTIONS. Lines of questions:

    set NAME HEX    an environment variable, until the next answer
    parse HEX       PQconninfoParse: what the text says by itself
    connect HEX     PQconnectdb: the same with environment, files and defaults, and whether the values can be used
    defaults        PQconndefaults: each parameter and its variable

Each answer is some lines and an empty one. `refused HEX` holds libpq's message; `NAME HEX` a value. Nothing is
connected to that exists: the questions name no server, and a failure to connect means that the values were taken.
"""

import ctypes
import os
import sys


class Option(ctypes.Structure):
    _fields_ = [
        ("keyword", ctypes.c_char_p),
        ("variable", ctypes.c_char_p),
        ("built_in", ctypes.c_char_p),
        ("value", ctypes.c_char_p),
        ("label", ctypes.c_char_p),
        ("kind", ctypes.c_char_p),
        ("size", ctypes.c_int),
    ]


def load(path):
    libpq = ctypes.CDLL(path)
    options, connection, text = ctypes.POINTER(Option), ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in [
        ("PQconninfoParse", options, [text, ctypes.POINTER(text)]),
        ("PQconndefaults", options, []),
        ("PQconnectdb", connection, [text]),
        ("PQconninfo", options, [connection]),
        ("PQerrorMessage", text, [connection]),
        ("PQpass", text, [connection]),
        ("PQfinish", None, [connection]),
    ]:
        function = getattr(libpq, name)
        function.restype, function.argtypes = result, arguments
    return libpq


def each(options):
    at = 0
    while options[at].keyword:
        yield options[at]
        at += 1


def say(name, value):
    print(name, value.hex())


def parse(libpq, text):
    message = ctypes.c_char_p()
    options = libpq.PQconninfoParse(text, ctypes.byref(message))
    if not options:
        return say("refused", message.value)
    for option in each(options):
        if option.value is not None:
            say(option.keyword.decode(), option.value)


def connect(libpq, text):
    connection = libpq.PQconnectdb(text)
    message = libpq.PQerrorMessage(connection)
    if b"Is the server running" not in message:
        say("refused", message)
    else:
        for option in each(libpq.PQconninfo(connection)):
            # What stands there by itself is no answer.
            if option.value is not None and option.value != option.built_in:
                say(option.keyword.decode(), option.value)
        # From the password file, if it is not among the values.
        say("found", libpq.PQpass(connection))
    libpq.PQfinish(connection)


def defaults(libpq):
    for option in each(libpq.PQconndefaults()):
        say(option.keyword.decode(), option.variable or b"")


def main():
    libpq = load(sys.argv[1])
    variables = []
    for line in sys.stdin:
        words = line.rstrip("\n").split(" ")
        if words[0] == "set":
            os.environb[words[1].encode()] = bytes.fromhex(words[2])
            variables.append(words[1])
            continue
        if words[0] == "defaults":
            defaults(libpq)
        else:
            {"parse": parse, "connect": connect}[words[0]](libpq, bytes.fromhex(words[1]))
        print()
        for name in variables:
            os.environ.pop(name, None)
        variables = []


main()
