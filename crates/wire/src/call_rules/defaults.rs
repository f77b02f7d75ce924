//! Where nobody's participant is, and somebody's secrets may be.

use super::network::Network;

/// Denied unless `participants.deny_defaults` is false.
pub(super) const DENIED: [Network; 9] = [
    // Unspecified: it leads to this machine itself.
    Network::v4([0, 0, 0, 0], 32),
    Network::v6([0; 8], 128),
    // Link-local (RFC 3927; RFC 4291, 2.5.6). At 169.254.169.254 clouds hand out the credentials of
    // their machines.
    Network::v4([169, 254, 0, 0], 16),
    Network::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    // Where clouds do the same by addresses that are not link-local.
    Network::v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254], 128),
    Network::v4([100, 100, 100, 200], 32),
    // Multicast and broadcast.
    Network::v4([224, 0, 0, 0], 4),
    Network::v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
    Network::v4([255, 255, 255, 255], 32),
];
