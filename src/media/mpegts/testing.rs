//! What the tests of this folder build streams with.

use super::section::checksum;

/// Packets of one PID with this payload; the first one begins it (with a pointer field, if a section).
pub fn packets(pid: u16, section: &[u8]) -> Vec<[u8; 188]> {
    packed(pid, &[&[0], section].concat(), 0xff)
}

fn packed(pid: u16, payload: &[u8], _fill: u8) -> Vec<[u8; 188]> {
    let chunks = payload.chunks(184).enumerate();
    chunks
        .map(|(k, chunk)| {
            let mut bytes = [0xff; 188];
            let [high, low] = pid.to_be_bytes();
            let begins = if k == 0 { 0x40 } else { 0 };
            bytes[..4].copy_from_slice(&[0x47, high | begins, low, 0x10 | (k as u8 & 15)]);
            bytes[4..4 + chunk.len()].copy_from_slice(chunk);
            bytes
        })
        .collect()
}

fn section(table: u8, number: u16, body: &[u8]) -> Vec<u8> {
    let length = (body.len() + 9) as u16;
    let [high, low] = length.to_be_bytes();
    let [n1, n0] = number.to_be_bytes();
    let mut bytes = vec![table, 0xb0 | high, low, n1, n0, 0xc1, 0, 0];
    bytes.extend_from_slice(body);
    let crc = checksum(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

pub fn pat(programs: &[(u16, u16)]) -> Vec<u8> {
    let entry =
        |&(number, pid): &(u16, u16)| [number.to_be_bytes(), (pid | 0xe000).to_be_bytes()].concat();
    section(0, 1, &programs.iter().flat_map(entry).collect::<Vec<_>>())
}

pub fn pmt(number: u16, clock: u16, streams: &[(u8, u16, &[u8])]) -> Vec<u8> {
    let mut body = (clock | 0xe000).to_be_bytes().to_vec();
    body.extend([0xf0, 0]);
    for (kind, pid, descriptors) in streams {
        body.push(*kind);
        body.extend((pid | 0xe000).to_be_bytes());
        body.extend((descriptors.len() as u16 | 0xf000).to_be_bytes());
        body.extend_from_slice(descriptors);
    }
    section(2, number, &body)
}
