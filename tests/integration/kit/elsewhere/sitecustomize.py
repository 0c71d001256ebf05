"""For workers that seem to run on another machine: another host name, where process ids mean nothing here."""

import os
import socket

if os.environ.get("FAKE_HOST"):
    socket.gethostname = lambda: os.environ["FAKE_HOST"]

    import pika_kit.orphans

    pika_kit.orphans.place = lambda: os.environ["FAKE_HOST"]
