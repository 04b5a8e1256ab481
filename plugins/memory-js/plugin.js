// Blobs in the host's key-value store, in JavaScript: the world `blob-store`.
//
// An instance may be dropped between any two calls, so nothing that must last is kept in its memory. A blob is a
// record and parts: the parts are written first, under a name that is used once; the record, written last, is what
// makes them a blob. So a blob is there whole or not at all.
//
// A `result` of the WIT is what a function returns, or what it throws: `{ tag: "conflict" }`. An import throws an
// Error whose `payload` is that; thrown on, it is the function's own. A u64 is a BigInt: it is converted where it comes
// and where it goes.

import * as keyValue from "restante:storage/key-value@1.0.0";
import * as random from "restante:storage/random@1.0.0";

// Octets of a part; the last one of a blob may be smaller. The largest value that the host keeps.
const PART = 256 * 1024;
// What the names of records begin with.
const RECORDS = "blob/";

const damaged = (why) => ({ tag: "damaged", val: why });

const hex = (octets) => Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");

// ------------------------------------------------------------------------------------------------------------ records

// How long a blob is, and under which name its parts are.
class Record {
  constructor(octets, parts) {
    this.octets = octets;
    this.parts = parts;
  }

  static find(key) {
    const value = keyValue.get(RECORDS + key);
    if (value == null) return null;
    if (value.length !== 24) throw damaged("the record cannot be read");
    const octets = new DataView(value.buffer, value.byteOffset).getBigUint64(0);
    return new Record(Number(octets), value.slice(8));
  }

  // Makes the parts the blob `key`, unless there is one.
  save(key) {
    const value = new Uint8Array(24);
    new DataView(value.buffer).setBigUint64(0, BigInt(this.octets));
    value.set(this.parts, 8);
    if (!keyValue.compareAndSet(RECORDS + key, null, value)) throw { tag: "conflict" };
  }

  part(index) {
    return `part/${hex(this.parts)}/${index.toString(16).padStart(8, "0")}`;
  }

  deleteParts(nParts = Math.ceil(this.octets / PART)) {
    for (let index = 0; index < nParts; index++) keyValue.delete(this.part(index));
  }
}

// ------------------------------------------------------------------------------------------------------------- writer

// A blob being written.
class Writer {
  constructor(key, octets) {
    this.key = key;
    this.record = new Record(octets, random.octets(16));
    this.nParts = 0;
    // What has come and is not a part yet.
    this.waiting = new Uint8Array(Math.min(PART, octets));
    this.nWaiting = 0;
  }

  write(octets) {
    for (let at = 0; at < octets.length; ) {
      const piece = octets.subarray(at, at + PART - this.nWaiting);
      this.waiting.set(piece, this.nWaiting);
      this.nWaiting += piece.length;
      at += piece.length;
      if (this.nWaiting === PART) this.savePart();
    }
  }

  savePart() {
    // Counted first: what became of a part that fails is not always known, and `giveUp` deletes it too.
    const name = this.record.part(this.nParts++);
    keyValue.set(name, this.waiting.subarray(0, this.nWaiting));
    this.nWaiting = 0;
  }

  static finish(writer) {
    try {
      if (writer.nWaiting > 0) writer.savePart();
      writer.record.save(writer.key);
    } catch (error) {
      // Where it is unknown whether the blob is there, its parts stay.
      if ((error.payload ?? error).tag !== "unknown") writer.giveUp();
      throw error;
    } finally {
      writer.waiting = null;
    }
  }

  giveUp() {
    try {
      this.record.deleteParts(this.nParts);
    } catch {
      // Nobody is there to be told; what stays is never found.
    }
  }

  // Called when the host drops the writer; not after `finish`.
  [Symbol.dispose ?? Symbol.for("dispose")]() {
    this.giveUp();
    this.waiting = null;
  }
}

// ------------------------------------------------------------------------------------------------------------- reader

// A range of a blob being read.
class Reader {
  constructor(record, start, end) {
    this.record = record;
    this.next = start;
    this.end = end;
    this.part = null;
  }

  read(max) {
    if (this.next === this.end) return new Uint8Array(0);
    const index = Math.floor(this.next / PART);
    const partStart = index * PART;
    // A part serves several calls: what JavaScript has no more use for stays in the memory for a while.
    if (this.part === null || this.next === partStart) this.part = keyValue.get(this.record.part(index));
    if (this.part == null) throw damaged("a part is gone");

    const end = Math.min(this.end, this.next + max, partStart + PART);
    if (end - partStart > this.part.length) throw damaged("a part is too short");
    const octets = this.part.subarray(this.next - partStart, end - partStart);
    this.next = end;
    return octets;
  }
}

// ------------------------------------------------------------------------------------------------------------ exports

export const lifecycle = {
  configure(config) {},

  health() {
    keyValue.get("health");
  },
};

export const blobs = {
  Reader,
  Writer,

  put(key, octets) {
    // Found out early where that is possible; `finish` finds out in any case.
    if (Record.find(key) != null) throw { tag: "conflict" };
    return new Writer(key, Number(octets));
  },

  get(key, start, end) {
    const record = Record.find(key);
    if (record == null) throw { tag: "not-found" };
    if (start > end || end > record.octets) throw damaged("the range lies outside of the blob");
    return new Reader(record, Number(start), Number(end));
  },

  delete(key) {
    const record = Record.find(key);
    if (record == null) return;
    // Without its record nobody finds the blob any more, even if the rest of this fails.
    keyValue.delete(RECORDS + key);
    record.deleteParts();
  },

  list(after, limit) {
    const names = keyValue.keys(RECORDS, after == null ? null : RECORDS + after, limit);
    return names.map((name) => name.slice(RECORDS.length));
  },
};
