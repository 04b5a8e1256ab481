//! Octets on their way: lines, commands, bodies out and messages in.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use restante_message::Canonicalizer;
use restante_wire::{Command, DotStuffer, LineFramer, LineLimits};
use std::hint::black_box;

/// What a session of a mail program says.
const SESSION: &[u8] =
    b"CAPA\r\nUSER alice@example.org\r\nPASS correct horse\r\nSTAT\r\nUIDL\r\nRETR 1\r\nRETR 2\r\nRETR 3\r\n\
    RETR 4\r\nRETR 5\r\nQUIT\r\n";
const MESSAGE_OCTETS: usize = 76_000;

fn framing(c: &mut Criterion) {
    let mut group = c.benchmark_group("framing");
    group.throughput(Throughput::Bytes(SESSION.len() as u64));
    group.bench_function("lines of a session", |b| {
        b.iter(|| {
            let mut framer = LineFramer::new(LineLimits::default());
            let mut rest = SESSION;
            let mut n = 0;
            while !rest.is_empty() {
                rest = &rest[framer.push(black_box(rest))..];
                while let Some(line) = framer.next_line() {
                    n += line.expect("no line is long").len();
                }
            }
            n
        });
    });
    group.finish();
}

fn parsing(c: &mut Criterion) {
    let lines: Vec<&[u8]> = SESSION
        .split_inclusive(|octet| *octet == b'\n')
        .map(<[u8]>::trim_ascii_end)
        .collect();
    let mut group = c.benchmark_group("parsing");
    group.throughput(Throughput::Elements(lines.len() as u64));
    group.bench_function("commands of a session", |b| {
        b.iter(|| {
            for line in &lines {
                black_box(Command::parse(black_box(line)).expect("a command"));
            }
        });
    });
    group.finish();
}

fn bodies(c: &mut Criterion) {
    let message = restante_conformance::mail(0, MESSAGE_OCTETS);
    let dotted =
        b".23456789 123456789 123456789 123456789 123456789 123456789\r\n".repeat(MESSAGE_OCTETS / 61);
    let mut group = c.benchmark_group("bodies");
    for (name, octets) in [("as they are", &message[..]), ("all lines with dots", &dotted)] {
        group.throughput(Throughput::Bytes(octets.len() as u64));
        let mut out = Vec::with_capacity(2 * MESSAGE_OCTETS);
        group.bench_function(format!("stuffing, {name}"), |b| {
            b.iter(|| {
                out.clear();
                let mut stuffer = DotStuffer::new();
                stuffer.stuff(black_box(octets), &mut out);
                stuffer.finish(&mut out);
                out.len()
            });
        });
        let mut out = Vec::with_capacity(2 * MESSAGE_OCTETS);
        group.bench_function(format!("canonicalising, {name}"), |b| {
            b.iter(|| {
                out.clear();
                let mut canonicalizer = Canonicalizer::new();
                canonicalizer.push(black_box(octets), &mut out);
                canonicalizer.finish(&mut out)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, framing, parsing, bodies);
criterion_main!(benches);
