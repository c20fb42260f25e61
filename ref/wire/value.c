/* SPDX-License-Identifier: MIT
 *
 * Writing values: the one file that knows msgpack-c.
 *
 * Its packer chooses the shortest form of each item and writes through a callback, here straight
 * into a copse_buf. Its unpacker is not used at all: it builds trees with an allocation each and
 * trusts announced counts, while what arrives from a peer wants neither (see check.c, reader.c).
 */
#include "wire/value.h"

#include <endian.h>
#include <msgpack.h>
#include <string.h>

static int append(void *buf, const char *data, size_t size) {
  copse_buf_append(buf, data, size);
  return 0; /* a failure stays in the buffer */
}

/* The packer is two words; making it anew for each item costs nothing and keeps copse_buf plain. */
static msgpack_packer packer(copse_buf *buf) {
  msgpack_packer pk;
  msgpack_packer_init(&pk, buf, append);
  return pk;
}

void copse_pack_nil(copse_buf *buf) {
  msgpack_packer pk = packer(buf);
  msgpack_pack_nil(&pk);
}

void copse_pack_bool(copse_buf *buf, bool value) {
  msgpack_packer pk = packer(buf);
  if (value) msgpack_pack_true(&pk);
  else msgpack_pack_false(&pk);
}

void copse_pack_int(copse_buf *buf, int64_t value) {
  msgpack_packer pk = packer(buf);
  msgpack_pack_int64(&pk, value);
}

/* Always binary64 (VALUE-007): the packer would write what fits as binary32. */
void copse_pack_float(copse_buf *buf, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  bits = htobe64(bits);
  copse_buf_append(buf, "\xcb", 1);
  copse_buf_append(buf, &bits, sizeof bits);
}

void copse_pack_str(copse_buf *buf, const char *text, size_t size) {
  msgpack_packer pk = packer(buf);
  if (size > UINT32_MAX) buf->status = buf->status ? buf->status : COPSE_ETOOLARGE;
  msgpack_pack_str(&pk, size);
  msgpack_pack_str_body(&pk, text, size);
}

void copse_pack_cstr(copse_buf *buf, const char *text) { copse_pack_str(buf, text, strlen(text)); }

void copse_pack_bin(copse_buf *buf, const void *data, size_t size) {
  msgpack_packer pk = packer(buf);
  if (size > UINT32_MAX) buf->status = buf->status ? buf->status : COPSE_ETOOLARGE;
  msgpack_pack_bin(&pk, size);
  msgpack_pack_bin_body(&pk, data, size);
}

void copse_pack_array(copse_buf *buf, size_t count) {
  msgpack_packer pk = packer(buf);
  if (count > UINT32_MAX) buf->status = buf->status ? buf->status : COPSE_ETOOLARGE;
  msgpack_pack_array(&pk, count);
}

void copse_pack_map(copse_buf *buf, size_t count) {
  msgpack_packer pk = packer(buf);
  if (count > UINT32_MAX) buf->status = buf->status ? buf->status : COPSE_ETOOLARGE;
  msgpack_pack_map(&pk, count);
}

void copse_pack_ext(copse_buf *buf, int8_t type, const void *data, size_t size) {
  msgpack_packer pk = packer(buf);
  if (size > UINT32_MAX) buf->status = buf->status ? buf->status : COPSE_ETOOLARGE;
  msgpack_pack_ext(&pk, size, type);
  msgpack_pack_ext_body(&pk, data, size);
}

void copse_pack_value(copse_buf *buf, copse_bytes value) {
  copse_buf_append(buf, value.data, value.size);
}

void copse_pack_ref(copse_buf *buf, const copse_ref *ref, bool with_addresses) {
  uint8_t body[32 + COPSE_NAME_MAX + COPSE_REF_ADDRESSES_MAX * (COPSE_ADDRESS_MAX + 4)];
  copse_buf inner;
  copse__buf_fixed(&inner, body, sizeof body);
  size_t count = with_addresses ? ref->address_count : 0;
  if (count > COPSE_REF_ADDRESSES_MAX) count = COPSE_REF_ADDRESSES_MAX;
  copse_pack_array(&inner, 3);
  copse_pack_bin(&inner, ref->id, sizeof ref->id);
  copse_pack_str(&inner, ref->name, strnlen(ref->name, COPSE_NAME_MAX));
  copse_pack_array(&inner, count);
  for (size_t i = 0; i < count; i++)
    copse_pack_str(&inner, ref->addresses[i], strnlen(ref->addresses[i], COPSE_ADDRESS_MAX));
  copse_pack_ext(buf, COPSE_EXT_REF, inner.data, inner.size);
}
