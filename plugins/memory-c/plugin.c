// Blobs in the host's key-value store, in C: the world `blob-store`.
//
// An instance may be dropped between any two calls, so nothing that must last is kept in its memory. A blob is a
// record and parts: the parts are written first, under a name that is used once; the record, written last, is what
// makes them a blob. So a blob is there whole or not at all.
//
// `blob_store.h` is made from the WIT by wit-bindgen. What it asks of C: a function answers whether it succeeded;
// what it is passed is its own, to be freed; what it answers is allocated by malloc, and freed for it. Arguments of
// an import stay the caller's, its results become the caller's.

#include "blob_store.h"

#include <stdlib.h>
#include <string.h>

typedef blob_store_string_t text_t;
typedef blob_store_list_u8_t octets_t;
typedef restante_storage_types_error_t fault_t;

// Octets of a part; the last one of a blob may be smaller. The largest value that the host keeps.
#define PART (256u * 1024)
// What the names of records begin with.
#define RECORDS "blob/"
#define RECORDS_LENGTH (sizeof RECORDS - 1)

// ------------------------------------------------------------------------------------------------------------- faults

static bool fail(fault_t *fault, uint8_t tag) {
  fault->tag = tag;
  return false;
}

static bool damaged(fault_t *fault, const char *why) {
  blob_store_string_dup(&fault->val.damaged, why);
  return fail(fault, RESTANTE_STORAGE_TYPES_ERROR_DAMAGED);
}

static void *allocate(size_t octets) {
  void *memory = malloc(octets);
  if (memory == NULL) abort();  // A trap: the host takes a fresh instance.
  return memory;
}

// ------------------------------------------------------------------------------------------------------------ records

// How long a blob is, and under which name its parts are.
typedef struct {
  uint64_t octets;
  uint8_t parts[16];
} record_t;

#define RECORD_OCTETS 24  // `octets`, most significant first, then `parts`.

// `blob/KEY`, to be freed.
static text_t record_name(const text_t *key) {
  text_t name = {allocate(RECORDS_LENGTH + key->len), RECORDS_LENGTH + key->len};
  memcpy(name.ptr, RECORDS, RECORDS_LENGTH);
  memcpy(name.ptr + RECORDS_LENGTH, key->ptr, key->len);
  return name;
}

static bool find_record(const text_t *key, record_t *record, bool *is_there, fault_t *fault) {
  text_t name = record_name(key);
  blob_store_option_list_u8_t value;
  bool is_answered = restante_storage_key_value_get(&name, &value, fault);
  free(name.ptr);
  if (!is_answered) return false;

  *is_there = value.is_some;
  if (!value.is_some) return true;
  bool is_readable = value.val.len == RECORD_OCTETS;
  if (is_readable) {
    record->octets = 0;
    for (size_t at = 0; at < 8; at++) record->octets = record->octets << 8 | value.val.ptr[at];
    memcpy(record->parts, value.val.ptr + 8, sizeof record->parts);
  }
  blob_store_option_list_u8_free(&value);
  return is_readable || damaged(fault, "the record cannot be read");
}

// Makes the parts the blob `key`, unless there is one.
static bool save_record(const text_t *key, const record_t *record, fault_t *fault) {
  uint8_t value[RECORD_OCTETS];
  for (size_t at = 0; at < 8; at++) value[at] = (uint8_t)(record->octets >> (56 - 8 * at));
  memcpy(value + 8, record->parts, sizeof record->parts);

  text_t name = record_name(key);
  octets_t octets = {value, sizeof value};
  bool is_set;
  bool is_answered = restante_storage_key_value_compare_and_set(&name, NULL, &octets, &is_set, fault);
  free(name.ptr);
  if (!is_answered) return false;
  return is_set || fail(fault, RESTANTE_STORAGE_TYPES_ERROR_CONFLICT);
}

// -------------------------------------------------------------------------------------------------------------- parts

// "part/", 32 digits, "/", 8 digits.
typedef struct {
  uint8_t octets[5 + 32 + 1 + 8];
} part_name_t;

static text_t name_part(const record_t *record, uint64_t index, part_name_t *name) {
  static const char digits[] = "0123456789abcdef";
  uint8_t *to = name->octets;
  memcpy(to, "part/", 5);
  to += 5;
  for (size_t at = 0; at < sizeof record->parts; at++) {
    *to++ = (uint8_t)digits[record->parts[at] >> 4];
    *to++ = (uint8_t)digits[record->parts[at] & 15];
  }
  *to++ = '/';
  for (int shift = 28; shift >= 0; shift -= 4) *to++ = (uint8_t)digits[index >> shift & 15];
  return (text_t){name->octets, sizeof name->octets};
}

static bool delete_parts(const record_t *record, uint64_t n_parts, fault_t *fault) {
  for (uint64_t index = 0; index < n_parts; index++) {
    part_name_t room;
    text_t name = name_part(record, index, &room);
    if (!restante_storage_key_value_delete(&name, fault)) return false;
  }
  return true;
}

// ---------------------------------------------------------------------------------------------------------- lifecycle

bool exports_restante_storage_lifecycle_configure(text_t *config, fault_t *fault) {
  blob_store_string_free(config);
  return true;
}

bool exports_restante_storage_lifecycle_health(fault_t *fault) {
  text_t name;
  blob_store_string_set(&name, "health");
  blob_store_option_list_u8_t value;
  if (!restante_storage_key_value_get(&name, &value, fault)) return false;
  blob_store_option_list_u8_free(&value);
  return true;
}

// ------------------------------------------------------------------------------------------------------------- writer

// A blob being written.
struct exports_restante_storage_blobs_writer_t {
  text_t key;
  record_t record;
  uint64_t n_parts;
  // What has come and is not a part yet: up to `PART` octets.
  octets_t waiting;
  bool is_saved;
};
typedef struct exports_restante_storage_blobs_writer_t writer_t;

bool exports_restante_storage_blobs_put(text_t *key, uint64_t octets,
                                        exports_restante_storage_blobs_own_writer_t *ret, fault_t *fault) {
  // Found out early where that is possible; `finish` finds out in any case.
  record_t record;
  bool is_there;
  if (!find_record(key, &record, &is_there, fault) ||
      (is_there && !fail(fault, RESTANTE_STORAGE_TYPES_ERROR_CONFLICT))) {
    blob_store_string_free(key);
    return false;
  }

  writer_t *writer = allocate(sizeof *writer);
  *writer = (writer_t){.key = *key, .record.octets = octets, .waiting.ptr = allocate(PART)};
  octets_t name;
  restante_storage_random_octets(sizeof writer->record.parts, &name);
  memcpy(writer->record.parts, name.ptr, sizeof writer->record.parts);
  blob_store_list_u8_free(&name);
  *ret = exports_restante_storage_blobs_writer_new(writer);
  return true;
}

static bool save_part(writer_t *writer, fault_t *fault) {
  // Counted first: what became of a part that fails is not always known, and the destructor deletes it too.
  part_name_t room;
  text_t name = name_part(&writer->record, writer->n_parts++, &room);
  if (!restante_storage_key_value_set(&name, &writer->waiting, fault)) return false;
  writer->waiting.len = 0;
  return true;
}

bool exports_restante_storage_blobs_method_writer_write(writer_t *writer, octets_t *octets, fault_t *fault) {
  bool is_written = true;
  for (size_t at = 0; is_written && at < octets->len;) {
    size_t room = PART - writer->waiting.len;
    size_t n = octets->len - at < room ? octets->len - at : room;
    memcpy(writer->waiting.ptr + writer->waiting.len, octets->ptr + at, n);
    writer->waiting.len += n;
    at += n;
    if (writer->waiting.len == PART) is_written = save_part(writer, fault);
  }
  blob_store_list_u8_free(octets);
  return is_written;
}

static bool finish(writer_t *writer, fault_t *fault) {
  if (writer->waiting.len > 0 && !save_part(writer, fault)) return false;
  bool is_finished = save_record(&writer->key, &writer->record, fault);
  // Where it is unknown whether the blob is there, its parts stay.
  writer->is_saved = is_finished || fault->tag == RESTANTE_STORAGE_TYPES_ERROR_UNKNOWN;
  return is_finished;
}

bool exports_restante_storage_blobs_static_writer_finish(exports_restante_storage_blobs_own_writer_t handle,
                                                         fault_t *fault) {
  writer_t *writer = exports_restante_storage_blobs_writer_rep(handle);
  bool is_finished = finish(writer, fault);
  exports_restante_storage_blobs_writer_drop_own(handle);  // Calls the destructor.
  return is_finished;
}

void exports_restante_storage_blobs_writer_destructor(writer_t *writer) {
  fault_t fault;
  // Nobody is there to be told; what stays is never found.
  if (!writer->is_saved && !delete_parts(&writer->record, writer->n_parts, &fault))
    restante_storage_types_error_free(&fault);
  free(writer->waiting.ptr);
  blob_store_string_free(&writer->key);
  free(writer);
}

// ------------------------------------------------------------------------------------------------------------- reader

// A range of a blob being read.
struct exports_restante_storage_blobs_reader_t {
  record_t record;
  uint64_t next;
  uint64_t end;
};
typedef struct exports_restante_storage_blobs_reader_t reader_t;

bool exports_restante_storage_blobs_get(text_t *key, uint64_t start, uint64_t end,
                                        exports_restante_storage_blobs_own_reader_t *ret, fault_t *fault) {
  record_t record;
  bool is_there;
  bool is_answered = find_record(key, &record, &is_there, fault);
  blob_store_string_free(key);
  if (!is_answered) return false;
  if (!is_there) return fail(fault, RESTANTE_STORAGE_TYPES_ERROR_NOT_FOUND);
  if (start > end || end > record.octets) return damaged(fault, "the range lies outside of the blob");

  reader_t *reader = allocate(sizeof *reader);
  *reader = (reader_t){record, start, end};
  *ret = exports_restante_storage_blobs_reader_new(reader);
  return true;
}

static uint64_t smaller(uint64_t one, uint64_t other) { return one < other ? one : other; }

bool exports_restante_storage_blobs_method_reader_read(reader_t *reader, uint32_t max, octets_t *ret, fault_t *fault) {
  *ret = (octets_t){NULL, 0};
  if (reader->next == reader->end) return true;

  uint64_t index = reader->next / PART;
  uint64_t part_start = index * PART;
  part_name_t room;
  text_t name = name_part(&reader->record, index, &room);
  blob_store_option_list_u8_t part;
  if (!restante_storage_key_value_get(&name, &part, fault)) return false;
  if (!part.is_some) return damaged(fault, "a part is gone");

  uint64_t end = smaller(smaller(reader->end, part_start + PART), reader->next + max);
  if (end - part_start > part.val.len) {
    blob_store_option_list_u8_free(&part);
    return damaged(fault, "a part is too short");
  }
  // The part's own memory is what is answered, with the octets that are wanted moved to its beginning.
  memmove(part.val.ptr, part.val.ptr + (reader->next - part_start), end - reader->next);
  *ret = (octets_t){part.val.ptr, end - reader->next};
  reader->next = end;
  return true;
}

void exports_restante_storage_blobs_reader_destructor(reader_t *reader) { free(reader); }

// ----------------------------------------------------------------------------------------------------- delete and list

bool exports_restante_storage_blobs_delete(text_t *key, fault_t *fault) {
  record_t record;
  bool is_there = false;
  bool is_done = find_record(key, &record, &is_there, fault);
  if (is_there && is_done) {
    // Without its record nobody finds the blob any more, even if the rest of this fails.
    text_t name = record_name(key);
    is_done = restante_storage_key_value_delete(&name, fault) &&
              delete_parts(&record, (record.octets + PART - 1) / PART, fault);
    free(name.ptr);
  }
  blob_store_string_free(key);
  return is_done;
}

bool exports_restante_storage_blobs_list(text_t *after, uint32_t limit,
                                         exports_restante_storage_blobs_list_blob_key_t *ret, fault_t *fault) {
  text_t prefix, from;
  blob_store_string_set(&prefix, RECORDS);
  if (after != NULL) {
    from = record_name(after);
    blob_store_string_free(after);
  }
  blob_store_list_string_t names;
  bool is_answered =
      restante_storage_key_value_keys(&prefix, after != NULL ? &from : NULL, limit, &names, fault);
  if (after != NULL) free(from.ptr);
  if (!is_answered) return false;

  for (size_t at = 0; at < names.len; at++) {
    text_t *name = &names.ptr[at];
    name->len -= RECORDS_LENGTH;
    memmove(name->ptr, name->ptr + RECORDS_LENGTH, name->len);
  }
  *ret = (exports_restante_storage_blobs_list_blob_key_t){names.ptr, names.len};
  return true;
}
