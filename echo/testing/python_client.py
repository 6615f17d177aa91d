"""A client in Python: talks to an echo server and checks every byte that comes back.

Usage: python_client.py HOST PORT
"""

import hashlib
import os
import socket
import sys
import threading

PATIENCE_SECONDS = 60
GIBIBYTE = 1 << 30


def connect(address):
    client = socket.create_connection(address, timeout=PATIENCE_SECONDS)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def receive(client, size):
    received = bytearray()
    while len(received) < size:
        part = client.recv(size - len(received))
        assert part, f"the stream ended after {len(received)} of {size} bytes"
        received += part
    return bytes(received)


def one_byte_at_a_time(address):
    with connect(address) as client:
        for number in range(1000):
            byte = bytes([number % 256])
            client.sendall(byte)
            assert receive(client, 1) == byte, f"byte {number}"


def half_close(address):
    sent = os.urandom(100_000)
    with connect(address) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        assert receive(client, len(sent)) == sent
        assert client.recv(1) == b"", "bytes after the last"


def one_gibibyte(address):
    sent = hashlib.sha256()
    received = hashlib.sha256()
    chunk = os.urandom(1 << 20)
    with connect(address) as client:

        def send():
            for number in range(GIBIBYTE // len(chunk)):
                # Every chunk is another one.
                numbered = number.to_bytes(8, "little") + chunk[8:]
                sent.update(numbered)
                client.sendall(numbered)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        count = 0
        while part := client.recv(1 << 20):
            received.update(part)
            count += len(part)
        sender.join()
    assert count == GIBIBYTE, f"{count} bytes came back"
    assert sent.digest() == received.digest(), "the sums differ"


def many_at_once(address):
    clients = [connect(address) for _ in range(200)]
    for number, client in enumerate(clients):
        client.sendall(number.to_bytes(4, "little") * 100)
    for number, client in enumerate(clients):
        assert receive(client, 400) == number.to_bytes(4, "little") * 100, f"client {number}"
        client.close()


def main():
    address = (sys.argv[1], int(sys.argv[2]))
    for check in (one_byte_at_a_time, half_close, many_at_once, one_gibibyte):
        check(address)
        print(f"python3: {check.__name__} done", file=sys.stderr)


if __name__ == "__main__":
    main()
