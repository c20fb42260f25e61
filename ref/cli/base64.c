/* SPDX-License-Identifier: MIT
 *
 * Base64, which is how bytes travel through JSON.
 */
#include "cli.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void cli_base64_encode(const uint8_t *data, size_t size, char *out) {
  while (size) {
    size_t n = size < 3 ? size : 3;
    uint32_t bits = (uint32_t)data[0] << 16;
    if (n > 1) bits |= (uint32_t)data[1] << 8;
    if (n > 2) bits |= data[2];
    out[0] = alphabet[bits >> 18];
    out[1] = alphabet[bits >> 12 & 63];
    out[2] = n > 1 ? alphabet[bits >> 6 & 63] : '=';
    out[3] = n > 2 ? alphabet[bits & 63] : '=';
    data += n;
    size -= n;
    out += 4;
  }
  *out = '\0';
}

ptrdiff_t cli_base64_decode(const char *text, size_t size, uint8_t *out) {
  uint8_t *at = out;
  if (size % 4) return -1;
  for (size_t i = 0; i < size; i += 4) {
    size_t padding = 0;
    uint32_t bits = 0;
    if (i + 4 == size) padding = text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
    for (size_t k = 0; k < 4; k++) {
      const char *digit = memchr(alphabet, text[i + k], sizeof alphabet - 1);
      if (k < 4 - padding && !digit) return -1;
      bits = bits << 6 | (k < 4 - padding ? (uint32_t)(digit - alphabet) : 0);
    }
    if (padding && bits & (padding == 2 ? 0xffff : 0xff)) return -1;
    *at++ = (uint8_t)(bits >> 16);
    if (padding < 2) *at++ = (uint8_t)(bits >> 8);
    if (padding < 1) *at++ = (uint8_t)bits;
  }
  return at - out;
}
