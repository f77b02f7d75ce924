"""Brings loopback up in a network of its own (SIOCSIFFLAGS: IFF_UP | IFF_RUNNING)."""
import fcntl, socket, struct

with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14s", b"lo", 0x41, b""))
