// A maildrop in the host's key-value store, in C: the world `maildrop`.
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
// `maildrop.h` is made from the WIT by wit-bindgen. What it asks of C: a function answers whether it succeeded; what
// it is passed is its own, to be freed; what it answers is allocated by malloc, and freed for it. Arguments of an
// import stay the caller's, its results become the caller's.

#include "maildrop.h"

#include <stdlib.h>
#include <string.h>

typedef maildrop_string_t text_t;
typedef maildrop_list_u8_t octets_t;
typedef maildrop_option_list_u8_t value_t;
typedef restante_storage_types_error_t fault_t;
typedef exports_restante_storage_maildrops_account_t account_t;
typedef exports_restante_storage_maildrops_entry_t entry_t;
typedef exports_restante_storage_maildrops_fence_t fence_t;

// Octets of a part; the last one of a message may be smaller. The largest value that the host keeps.
#define PART (256u * 1024)
// What a catalogue begins with: newest number, largest token.
#define HEAD 16u
// A record: the message's number, its octets, its name.
#define RECORD 32u
#define NUMBER_AT 0
#define OCTETS_AT 8
#define NAME_AT 16
#define NAME 16u
// Most messages of an account: a catalogue is one value.
#define MOST ((PART - HEAD) / RECORD)
// How often a change is tried. Each time that it fails, somebody else's has succeeded.
#define TRIES 100

// ------------------------------------------------------------------------------------------------------------- faults

static bool fail(fault_t *fault, uint8_t tag) {
  fault->tag = tag;
  return false;
}

// For the faults that bear a text: it is at the same place in each of them.
static bool fail_because(fault_t *fault, uint8_t tag, const char *why) {
  maildrop_string_dup(&fault->val.damaged, why);
  return fail(fault, tag);
}

static bool damaged(fault_t *fault, const char *why) {
  return fail_because(fault, RESTANTE_STORAGE_TYPES_ERROR_DAMAGED, why);
}

static void *allocate(size_t octets) {
  void *memory = malloc(octets);
  if (memory == NULL && octets > 0) abort();  // A trap: the host takes a fresh instance.
  return memory;
}

// ------------------------------------------------------------------------------------------------------------ numbers

static uint64_t number_from(const uint8_t *octets) {
  uint64_t number = 0;
  for (int at = 0; at < 8; at++) number = number << 8 | octets[at];
  return number;
}

static void number_to(uint8_t *octets, uint64_t number) {
  for (int at = 7; at >= 0; at--, number >>= 8) octets[at] = (uint8_t)number;
}

static const char digits[] = "0123456789abcdef";

static void hex(uint8_t *to, const uint8_t *octets, size_t n) {
  for (size_t at = 0; at < n; at++) {
    *to++ = (uint8_t)digits[octets[at] >> 4];
    *to++ = (uint8_t)digits[octets[at] & 15];
  }
}

static text_t hex_text(const uint8_t *octets, size_t n) {
  text_t text = {allocate(2 * n), 2 * n};
  hex(text.ptr, octets, n);
  return text;
}

// The number whose 16 digits these are.
static bool is_number(const text_t *text, uint64_t *number) {
  if (text->len != 16) return false;
  *number = 0;
  for (size_t at = 0; at < 16; at++) {
    const char *digit = text->ptr[at] == 0 ? NULL : strchr(digits, text->ptr[at]);
    if (digit == NULL) return false;
    *number = *number << 4 | (uint64_t)(digit - digits);
  }
  return true;
}

// -------------------------------------------------------------------------------------------------------------- parts

// "part/", 32 digits, "/", 8 digits.
typedef struct {
  uint8_t octets[5 + 2 * NAME + 1 + 8];
} part_name_t;

static text_t name_part(const uint8_t name[NAME], uint64_t index, part_name_t *room) {
  uint8_t number[8];
  number_to(number, index);
  memcpy(room->octets, "part/", 5);
  hex(room->octets + 5, name, NAME);
  room->octets[5 + 2 * NAME] = '/';
  hex(room->octets + 5 + 2 * NAME + 1, number + 4, 4);
  return (text_t){room->octets, sizeof room->octets};
}

static bool delete_parts(const uint8_t name[NAME], uint64_t n_parts, fault_t *fault) {
  for (uint64_t index = 0; index < n_parts; index++) {
    part_name_t room;
    text_t part = name_part(name, index, &room);
    if (!restante_storage_key_value_delete(&part, fault)) return false;
  }
  return true;
}

// ---------------------------------------------------------------------------------------------------------- catalogue

// "catalogue/", 16 digits. Accounts are told apart by their ids alone: their names may change.
typedef struct {
  uint8_t octets[10 + 16];
} catalogue_name_t;

static text_t name_catalogue(uint64_t account, catalogue_name_t *room) {
  uint8_t number[8];
  number_to(number, account);
  memcpy(room->octets, "catalogue/", 10);
  hex(room->octets + 10, number, 8);
  return (text_t){room->octets, sizeof room->octets};
}

// An account's catalogue, oldest message first.
typedef struct {
  value_t stored;  // What `compare-and-set` compares with.
  octets_t value;  // The same, or what a catalogue without messages is.
  uint8_t empty[HEAD];
} catalogue_t;

static bool load(uint64_t account, catalogue_t *catalogue, fault_t *fault) {
  catalogue_name_t room;
  text_t name = name_catalogue(account, &room);
  if (!restante_storage_key_value_get(&name, &catalogue->stored, fault)) return false;
  if (catalogue->stored.is_some) {
    catalogue->value = catalogue->stored.val;
  } else {
    memset(catalogue->empty, 0, HEAD);
    catalogue->value = (octets_t){catalogue->empty, HEAD};
  }
  size_t octets = catalogue->value.len;
  if (octets >= HEAD && (octets - HEAD) % RECORD == 0) return true;
  maildrop_option_list_u8_free(&catalogue->stored);
  return damaged(fault, "the catalogue cannot be read");
}

static void unload(catalogue_t *catalogue) { maildrop_option_list_u8_free(&catalogue->stored); }

// Puts `value` in place of the catalogue. Not an error, but not set either, if somebody else was faster.
static bool store(uint64_t account, const catalogue_t *catalogue, octets_t value, bool *is_set, fault_t *fault) {
  catalogue_name_t room;
  text_t name = name_catalogue(account, &room);
  octets_t old = catalogue->stored.val;
  return restante_storage_key_value_compare_and_set(&name, catalogue->stored.is_some ? &old : NULL, &value, is_set,
                                                    fault);
}

static bool give_up(fault_t *fault) {
  return fail_because(fault, RESTANTE_STORAGE_TYPES_ERROR_UNAVAILABLE, "others change the maildrop all the time");
}

static size_t n_records(const catalogue_t *catalogue) { return (catalogue->value.len - HEAD) / RECORD; }

static uint8_t *record_at(const catalogue_t *catalogue, size_t place) {
  return catalogue->value.ptr + HEAD + place * RECORD;
}

// Numbers grow from record to record.
static bool find(const catalogue_t *catalogue, const text_t *id, size_t *place) {
  uint64_t number;
  if (!is_number(id, &number)) return false;
  size_t from = 0, to = n_records(catalogue);
  while (from < to) {
    size_t middle = from + (to - from) / 2;
    if (number_from(record_at(catalogue, middle) + NUMBER_AT) < number) from = middle + 1;
    else to = middle;
  }
  *place = from;
  return from < n_records(catalogue) && number_from(record_at(catalogue, from) + NUMBER_AT) == number;
}

static entry_t entry_of(const uint8_t *record) {
  return (entry_t){hex_text(record + NUMBER_AT, 8), hex_text(record + NAME_AT, NAME), number_from(record + OCTETS_AT)};
}

// ---------------------------------------------------------------------------------------------------------- lifecycle

bool exports_restante_storage_lifecycle_configure(text_t *config, fault_t *fault) {
  maildrop_string_free(config);
  return true;
}

bool exports_restante_storage_lifecycle_health(fault_t *fault) {
  text_t name;
  maildrop_string_set(&name, "health");
  value_t value;
  if (!restante_storage_key_value_get(&name, &value, fault)) return false;
  maildrop_option_list_u8_free(&value);
  return true;
}

// --------------------------------------------------------------------------------------------------------------- list

bool exports_restante_storage_maildrops_list(account_t *account, text_t *after, uint32_t limit,
                                             exports_restante_storage_maildrops_list_entry_t *ret, fault_t *fault) {
  catalogue_t catalogue;
  size_t place = 0;
  bool is_done = load(account->id, &catalogue, fault);
  if (is_done) {
    bool is_there = after == NULL || find(&catalogue, after, &place);
    if (after != NULL) place++;
    if (is_there) {
      size_t n = n_records(&catalogue) - place;
      if (n > limit) n = limit;
      *ret = (exports_restante_storage_maildrops_list_entry_t){n == 0 ? NULL : allocate(n * sizeof(entry_t)), n};
      for (size_t at = 0; at < n; at++) ret->ptr[at] = entry_of(record_at(&catalogue, place + at));
    } else {
      is_done = fail(fault, RESTANTE_STORAGE_TYPES_ERROR_NOT_FOUND);
    }
    unload(&catalogue);
  }
  if (after != NULL) maildrop_string_free(after);
  exports_restante_storage_maildrops_account_free(account);
  return is_done;
}

// ------------------------------------------------------------------------------------------------------------- reader

// A message being read.
struct exports_restante_storage_maildrops_reader_t {
  uint8_t name[NAME];
  uint64_t next;
  uint64_t end;
};
typedef struct exports_restante_storage_maildrops_reader_t reader_t;

static uint64_t smaller(uint64_t one, uint64_t other) { return one < other ? one : other; }

bool exports_restante_storage_maildrops_open(account_t *account, text_t *id, uint64_t *octets,
                                             exports_restante_storage_maildrops_own_reader_t *ret, fault_t *fault) {
  catalogue_t catalogue;
  bool is_done = load(account->id, &catalogue, fault);
  if (is_done) {
    size_t place;
    if (find(&catalogue, id, &place)) {
      const uint8_t *record = record_at(&catalogue, place);
      uint64_t end = number_from(record + OCTETS_AT);
      reader_t *reader = allocate(sizeof *reader);
      *reader = (reader_t){.end = octets == NULL ? end : smaller(end, *octets)};
      memcpy(reader->name, record + NAME_AT, NAME);
      *ret = exports_restante_storage_maildrops_reader_new(reader);
    } else {
      is_done = fail(fault, RESTANTE_STORAGE_TYPES_ERROR_NOT_FOUND);
    }
    unload(&catalogue);
  }
  maildrop_string_free(id);
  exports_restante_storage_maildrops_account_free(account);
  return is_done;
}

bool exports_restante_storage_maildrops_method_reader_read(reader_t *reader, uint32_t max, octets_t *ret,
                                                           fault_t *fault) {
  *ret = (octets_t){NULL, 0};
  if (reader->next == reader->end) return true;

  uint64_t index = reader->next / PART;
  uint64_t part_start = index * PART;
  part_name_t room;
  text_t name = name_part(reader->name, index, &room);
  value_t part;
  if (!restante_storage_key_value_get(&name, &part, fault)) return false;
  if (!part.is_some) return damaged(fault, "a part is gone");

  uint64_t end = smaller(smaller(reader->end, part_start + PART), reader->next + max);
  if (end - part_start > part.val.len) {
    maildrop_option_list_u8_free(&part);
    return damaged(fault, "a part is too short");
  }
  // The part's own memory is what is answered, with the octets that are wanted moved to its beginning.
  memmove(part.val.ptr, part.val.ptr + (reader->next - part_start), end - reader->next);
  *ret = (octets_t){part.val.ptr, end - reader->next};
  reader->next = end;
  return true;
}

void exports_restante_storage_maildrops_reader_destructor(reader_t *reader) { free(reader); }

// ------------------------------------------------------------------------------------------------------------- remove

// The message is removed already, so this is no error of the call.
static void tell_of_parts_that_stay(fault_t *fault) {
  text_t line;
  maildrop_string_set(&line, "parts of a removed message stay");
  restante_storage_log_write(RESTANTE_STORAGE_LOG_LEVEL_WARN, &line);
  restante_storage_types_error_free(fault);
}

// Once: `*is_set` is false if somebody else was faster.
static bool try_to_remove(uint64_t account, uint64_t token, const maildrop_list_string_t *ids, bool *is_set,
                          fault_t *fault) {
  catalogue_t catalogue;
  if (!load(account, &catalogue, fault)) return false;
  if (token < number_from(catalogue.value.ptr + 8)) {
    unload(&catalogue);
    return fail_because(fault, RESTANTE_STORAGE_TYPES_ERROR_DENIED, "a later session has removed messages already");
  }

  size_t n = n_records(&catalogue);
  bool *is_removed = allocate(n);
  memset(is_removed, 0, n);
  for (size_t at = 0; at < ids->len; at++) {
    size_t place;
    // One that is gone already counts as removed.
    if (find(&catalogue, &ids->ptr[at], &place)) is_removed[place] = true;
  }

  octets_t value = {allocate(catalogue.value.len), HEAD};
  memcpy(value.ptr, catalogue.value.ptr, HEAD);
  number_to(value.ptr + 8, token);
  for (size_t place = 0; place < n; place++) {
    if (is_removed[place]) continue;
    memcpy(value.ptr + value.len, record_at(&catalogue, place), RECORD);
    value.len += RECORD;
  }
  bool is_done = store(account, &catalogue, value, is_set, fault);
  free(value.ptr);

  for (size_t place = 0; is_done && *is_set && place < n; place++) {
    if (!is_removed[place]) continue;
    const uint8_t *record = record_at(&catalogue, place);
    uint64_t n_parts = (number_from(record + OCTETS_AT) + PART - 1) / PART;
    fault_t later;
    if (!delete_parts(record + NAME_AT, n_parts, &later)) tell_of_parts_that_stay(&later);
  }
  free(is_removed);
  unload(&catalogue);
  return is_done;
}

bool exports_restante_storage_maildrops_remove(account_t *account, fence_t *fence, maildrop_list_string_t *ids,
                                               fault_t *fault) {
  bool is_set = false, is_done = true;
  for (int tried = 0; is_done && !is_set && tried < TRIES; tried++)
    is_done = try_to_remove(account->id, fence->token, ids, &is_set, fault);
  maildrop_list_string_free(ids);
  exports_restante_storage_maildrops_fence_free(fence);
  exports_restante_storage_maildrops_account_free(account);
  return is_done && (is_set || give_up(fault));
}

// ------------------------------------------------------------------------------------------------------------- append

// A message being appended.
struct exports_restante_storage_maildrops_writer_t {
  uint64_t account;
  uint64_t octets;
  uint8_t name[NAME];
  uint64_t n_octets;
  uint64_t n_parts;
  // What has come and is not a part yet: up to `PART` octets.
  octets_t waiting;
  bool is_saved;
};
typedef struct exports_restante_storage_maildrops_writer_t writer_t;

bool exports_restante_storage_maildrops_append(account_t *account, uint64_t octets,
                                               exports_restante_storage_maildrops_own_writer_t *ret, fault_t *fault) {
  uint64_t id = account->id;
  exports_restante_storage_maildrops_account_free(account);

  // Found out early where that is possible; `finish` finds out in any case.
  catalogue_t catalogue;
  if (!load(id, &catalogue, fault)) return false;
  bool is_full = n_records(&catalogue) >= MOST;
  unload(&catalogue);
  if (is_full) return fail(fault, RESTANTE_STORAGE_TYPES_ERROR_FULL);

  writer_t *writer = allocate(sizeof *writer);
  *writer = (writer_t){.account = id, .octets = octets, .waiting.ptr = allocate(PART)};
  // Random, so nobody else's: the parts are found by it, and clients know the message by it.
  octets_t name;
  restante_storage_random_octets(NAME, &name);
  memcpy(writer->name, name.ptr, NAME);
  maildrop_list_u8_free(&name);
  *ret = exports_restante_storage_maildrops_writer_new(writer);
  return true;
}

static bool save_part(writer_t *writer, fault_t *fault) {
  // Counted first: what became of a part that fails is not always known, and the destructor deletes it too.
  part_name_t room;
  text_t name = name_part(writer->name, writer->n_parts++, &room);
  if (!restante_storage_key_value_set(&name, &writer->waiting, fault)) return false;
  writer->n_octets += writer->waiting.len;
  writer->waiting.len = 0;
  return true;
}

bool exports_restante_storage_maildrops_method_writer_write(writer_t *writer, octets_t *octets, fault_t *fault) {
  bool is_written = true;
  for (size_t at = 0; is_written && at < octets->len;) {
    size_t n = smaller(octets->len - at, PART - writer->waiting.len);
    memcpy(writer->waiting.ptr + writer->waiting.len, octets->ptr + at, n);
    writer->waiting.len += n;
    at += n;
    if (writer->waiting.len == PART) is_written = save_part(writer, fault);
  }
  maildrop_list_u8_free(octets);
  return is_written;
}

// Once: `*is_set` is false if somebody else was faster.
static bool try_to_append(const writer_t *writer, entry_t *entry, bool *is_set, fault_t *fault) {
  catalogue_t catalogue;
  if (!load(writer->account, &catalogue, fault)) return false;
  if (n_records(&catalogue) >= MOST) {
    unload(&catalogue);
    return fail(fault, RESTANTE_STORAGE_TYPES_ERROR_FULL);
  }

  // Behind all others, under a number that no message had before.
  uint64_t number = number_from(catalogue.value.ptr) + 1;
  octets_t value = {allocate(catalogue.value.len + RECORD), catalogue.value.len + RECORD};
  memcpy(value.ptr, catalogue.value.ptr, catalogue.value.len);
  number_to(value.ptr, number);
  uint8_t *record = value.ptr + catalogue.value.len;
  number_to(record + NUMBER_AT, number);
  number_to(record + OCTETS_AT, writer->octets);
  memcpy(record + NAME_AT, writer->name, NAME);

  bool is_done = store(writer->account, &catalogue, value, is_set, fault);
  if (is_done && *is_set) *entry = entry_of(record);
  free(value.ptr);
  unload(&catalogue);
  return is_done;
}

static bool finish(writer_t *writer, entry_t *entry, fault_t *fault) {
  if (writer->waiting.len > 0 && !save_part(writer, fault)) return false;
  if (writer->n_octets != writer->octets)
    return fail_because(fault, RESTANTE_STORAGE_TYPES_ERROR_INVALID, "the message is not as long as announced");

  for (int tried = 0; !writer->is_saved && tried < TRIES; tried++) {
    if (!try_to_append(writer, entry, &writer->is_saved, fault)) {
      // Where it is unknown whether the message is there, its parts stay.
      writer->is_saved = fault->tag == RESTANTE_STORAGE_TYPES_ERROR_UNKNOWN;
      return false;
    }
  }
  return writer->is_saved || give_up(fault);
}

bool exports_restante_storage_maildrops_static_writer_finish(exports_restante_storage_maildrops_own_writer_t handle,
                                                             entry_t *ret, fault_t *fault) {
  writer_t *writer = exports_restante_storage_maildrops_writer_rep(handle);
  bool is_finished = finish(writer, ret, fault);
  exports_restante_storage_maildrops_writer_drop_own(handle);  // Calls the destructor.
  return is_finished;
}

void exports_restante_storage_maildrops_writer_destructor(writer_t *writer) {
  fault_t fault;
  // Nobody is there to be told; what stays is never found.
  if (!writer->is_saved && !delete_parts(writer->name, writer->n_parts, &fault))
    restante_storage_types_error_free(&fault);
  free(writer->waiting.ptr);
  free(writer);
}
