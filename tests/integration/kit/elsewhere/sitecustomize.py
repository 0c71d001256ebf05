"""Give workers another host name, so that they seem to run on another machine."""

import os
import socket

if os.environ.get("FAKE_HOST"):
    socket.gethostname = lambda: os.environ["FAKE_HOST"]

    import pika_kit.orphans

    pika_kit.orphans.place = lambda: os.environ["FAKE_HOST"]
