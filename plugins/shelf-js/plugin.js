// A maildrop in the host's key-value store, in JavaScript: the world `maildrop`.
//
// An instance may be dropped between any two calls, so nothing that must last is kept in its memory. A message is
// parts of at most 256 KiB, under a name that is used once, and a record in the catalogue of its account. The
// catalogue is one value, changed by compare-and-set: so messages come and go whole, in one order, and a session that
// a later one has overtaken removes nothing. Parts are written before the record and deleted after it: what a crash
// leaves behind are parts that nobody finds. What is stored is as the plugin `shelf` stores it.
//
//   catalogue/ACCOUNT   number of the newest message that ever was (8 octets), largest fence token (8), records
//   part/NAME/INDEX     octets of a message
//
// A `result` of the WIT is what a function returns, or what it throws: `{ tag: "not-found" }`. An import throws an
// Error whose `payload` is that; thrown on, it is the function's own. A u64 is a BigInt: numbers and tokens stay what
// they are, octets are converted where they come and where they go.

import * as keyValue from "restante:storage/key-value@1.0.0";
import * as log from "restante:storage/log@1.0.0";
import * as random from "restante:storage/random@1.0.0";

// Octets of a part; the last one of a message may be smaller. The largest value that the host keeps.
const PART = 256 * 1024;
// What a catalogue begins with: newest number, largest token.
const HEAD = 16;
// A record: the message's number (8 octets), its octets (8), its name (16).
const RECORD = 32;
// Most messages of an account: a catalogue is one value.
const MOST = Math.floor((PART - HEAD) / RECORD);
// How often a change is tried. Each time that it fails, somebody else's has succeeded.
const TRIES = 100;

const failure = (tag, why) => ({ tag, val: why });

const hex = (octets) => Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");

// ------------------------------------------------------------------------------------------------------------ records

// Which message it is, how long it is, and under which name its parts are.
class Record {
  constructor(number, octets, name) {
    this.number = number;
    this.octets = octets;
    // Random, so nobody else's: the parts are found by it, and clients know the message by it.
    this.name = name;
  }

  // The number in digits that sort as it does.
  get id() {
    return this.number.toString(16).padStart(16, "0");
  }

  get entry() {
    return { id: this.id, uniqueId: hex(this.name), octets: BigInt(this.octets) };
  }

  part(index) {
    return `part/${hex(this.name)}/${index.toString(16).padStart(8, "0")}`;
  }

  deleteParts(nParts = Math.ceil(this.octets / PART)) {
    for (let index = 0; index < nParts; index++) keyValue.delete(this.part(index));
  }
}

// ---------------------------------------------------------------------------------------------------------- catalogue

// The messages of an account, oldest first. Accounts are told apart by their ids alone: their names may change.
class Catalogue {
  // `stored` is undefined or null if there is none yet.
  constructor(stored) {
    this.newest = 0n;
    this.token = 0n;
    this.records = [];
    if (stored == null) return;
    if (stored.length < HEAD || (stored.length - HEAD) % RECORD !== 0) {
      throw failure("damaged", "the catalogue cannot be read");
    }
    const view = new DataView(stored.buffer, stored.byteOffset);
    this.newest = view.getBigUint64(0);
    this.token = view.getBigUint64(8);
    for (let at = HEAD; at < stored.length; at += RECORD) {
      const octets = Number(view.getBigUint64(at + 8));
      this.records.push(new Record(view.getBigUint64(at), octets, stored.slice(at + 16, at + RECORD)));
    }
  }

  static key(account) {
    return `catalogue/${account.id.toString(16).padStart(16, "0")}`;
  }

  static load(account) {
    return new Catalogue(keyValue.get(Catalogue.key(account)));
  }

  // Changes an account's catalogue, or leaves it as it is if `change` throws. `change` is called again, with what is
  // there then, when somebody else was faster.
  static change(account, change) {
    const key = Catalogue.key(account);
    for (let tried = 0; tried < TRIES; tried++) {
      const stored = keyValue.get(key);
      const catalogue = new Catalogue(stored);
      const answer = change(catalogue);
      if (keyValue.compareAndSet(key, stored, catalogue.toOctets())) return answer;
    }
    throw failure("unavailable", "others change the maildrop all the time");
  }

  toOctets() {
    const octets = new Uint8Array(HEAD + RECORD * this.records.length);
    const view = new DataView(octets.buffer);
    view.setBigUint64(0, this.newest);
    view.setBigUint64(8, this.token);
    this.records.forEach((record, place) => {
      const at = HEAD + RECORD * place;
      view.setBigUint64(at, record.number);
      view.setBigUint64(at + 8, BigInt(record.octets));
      octets.set(record.name, at + 16);
    });
    return octets;
  }

  get isFull() {
    return this.records.length >= MOST;
  }

  find(id) {
    const record = this.records.find((record) => record.id === id);
    if (record === undefined) throw failure("not-found");
    return record;
  }

  after(id) {
    if (id == null) return this.records;
    return this.records.slice(this.records.indexOf(this.find(id)) + 1);
  }

  // Puts a message behind all others, under a number that no message had before.
  append({ octets, name }) {
    if (this.isFull) throw failure("full");
    this.newest += 1n;
    const record = new Record(this.newest, octets, name);
    this.records.push(record);
    return record.entry;
  }

  // Takes out the messages of `ids` that are there, for the session that bears `token`.
  remove(token, ids) {
    if (token < this.token) throw failure("denied", "a later session has removed messages already");
    this.token = token;
    const isRemoved = ({ id }) => ids.has(id);
    const removed = this.records.filter(isRemoved);
    this.records = this.records.filter((record) => !isRemoved(record));
    return removed;
  }
}

// ------------------------------------------------------------------------------------------------------------- writer

// A message being appended.
class Writer {
  constructor(account, octets) {
    this.account = account;
    this.record = new Record(0n, octets, random.octets(16));
    this.nOctets = 0;
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
    this.nOctets += this.nWaiting;
    this.nWaiting = 0;
  }

  static finish(writer) {
    try {
      if (writer.nWaiting > 0) writer.savePart();
      if (writer.nOctets !== writer.record.octets) {
        throw failure("invalid", "the message is not as long as announced");
      }
      return Catalogue.change(writer.account, (catalogue) => catalogue.append(writer.record));
    } catch (error) {
      // Where it is unknown whether the message is there, its parts stay.
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

// A message being read, up to `end`.
class Reader {
  constructor(record, end) {
    this.record = record;
    this.next = 0;
    this.end = end;
    this.part = null;
  }

  read(max) {
    if (this.next === this.end) return new Uint8Array(0);
    const index = Math.floor(this.next / PART);
    const partStart = index * PART;
    // A part serves several calls: what JavaScript has no more use for stays in the memory for a while.
    if (this.part === null || this.next === partStart) this.part = keyValue.get(this.record.part(index));
    if (this.part == null) throw failure("damaged", "a part is gone");

    const end = Math.min(this.end, this.next + max, partStart + PART);
    if (end - partStart > this.part.length) throw failure("damaged", "a part is too short");
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

export const maildrops = {
  Reader,
  Writer,

  list(account, after, limit) {
    const records = Catalogue.load(account).after(after);
    return records.slice(0, limit).map((record) => record.entry);
  },

  open(account, id, octets) {
    const record = Catalogue.load(account).find(id);
    const end = octets == null ? record.octets : Math.min(record.octets, Number(octets));
    return new Reader(record, end);
  },

  remove(account, fence, ids) {
    const gone = new Set(ids);
    const removed = Catalogue.change(account, (catalogue) => catalogue.remove(fence.token, gone));
    for (const record of removed) {
      try {
        record.deleteParts();
      } catch {
        // The message is removed already, so this is no error of the call.
        log.write("warn", `account ${account.id}: parts of the removed message ${record.id} stay`);
      }
    }
  },

  append(account, octets) {
    // Found out early where that is possible; `finish` finds out in any case.
    if (Catalogue.load(account).isFull) throw failure("full");
    return new Writer(account, Number(octets));
  },
};
