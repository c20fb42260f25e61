/* SPDX-License-Identifier: MIT
 *
 * Bytes in.
 *
 * Frames are parsed where they were read to, and events are views into this buffer, so a small item
 * is never copied and never allocated. The buffer is linear: when it runs out, what is left of an
 * unfinished frame moves to the front, and nothing else ever moves. It starts small, since most
 * links are idle, doubles while reads fill it, up to a few frames, and halves again when they do
 * not.
 */
#include "wire/engine.h"

#include <string.h>

enum { FIRST = 4096, FRAMES = 4, QUIET_ROUNDS = 64 };

void copse__retire_free(copse_wire *wire) {
  while (wire->retired) {
    copse__blob *blob = wire->retired;
    wire->retired = blob->next;
    copse__blob_free(wire, blob);
  }
}

void copse__input_deinit(copse_wire *wire) {
  copse__retire_free(wire);
  if (wire->in.data) copse__resize(&wire->mem, wire->in.data, wire->in.capacity, 0);
  wire->in.data = NULL;
  wire->in.capacity = wire->in.head = wire->in.tail = 0;
}

/* Another size, keeping what is unparsed. */
static bool move(copse_wire *wire, size_t capacity) {
  copse__input *in = &wire->in;
  uint8_t *fresh = copse__resize(&wire->mem, NULL, 0, capacity);
  if (!fresh) return false;
  const size_t left = in->tail - in->head;
  if (left) memcpy(fresh, in->data + in->head, left);
  if (in->data) copse__resize(&wire->mem, in->data, in->capacity, 0);
  in->data = fresh;
  in->capacity = capacity;
  in->head = 0;
  in->tail = left;
  return true;
}

/* How long the frame at the head is, as far as its header is there. */
static size_t frame_size(const copse__input *in) {
  copse__frame frame;
  if (in->tail - in->head < COPSE_HEADER_SIZE) return COPSE_HEADER_SIZE;
  copse__frame_read(in->data + in->head, &frame);
  return COPSE_HEADER_SIZE + (size_t)frame.length;
}

#ifdef COPSE_HARD
/* A byte at a time, at a new address each time: finds every view that is used for too long. (In the
 * middle of a long frame larger steps are taken, since it would take for ever.) */
static bool make_room(copse_wire *wire) {
  const size_t left = wire->in.tail - wire->in.head, frame = frame_size(&wire->in);
  if (frame <= left && left >= FIRST) return false; /* events come first */
  const size_t step = left > 256 && frame > left + 256 ? frame - left - 256 : 1;
  return move(wire, left + step);
}
#else
static bool make_room(copse_wire *wire) {
  copse__input *in = &wire->in;
  const size_t left = in->tail - in->head;
  const size_t most = FRAMES * ((size_t)wire->mine.frame + COPSE_HEADER_SIZE);
  size_t need = frame_size(in); /* judged already: within the limits */
  if (need <= left) {
    /* Whole frames are there and nobody has asked for their events: they come first. */
    if (left >= most) return false;
    need = left + 1;
  }
  size_t want = in->capacity < FIRST ? FIRST : in->capacity;
  const bool filled = in->peak >= in->capacity && in->capacity;
  if (filled && want < most) want = want * 2 < most ? want * 2 : most;
  if (left == 0 && ++in->quiet >= QUIET_ROUNDS) {
    if (in->peak < in->capacity / 4 && want > FIRST) want /= 2;
    in->quiet = 0;
    in->peak = 0;
  }
  if (filled) in->peak = 0;
  while (want < need) want *= 2;
  if (want != in->capacity && move(wire, want)) return true;
  /* What lies before the head is in nobody's view any more. */
  if (left == 0) {
    in->head = in->tail = 0;
  } else if (in->capacity - in->head < need || in->capacity - in->tail < in->capacity / 2) {
    memmove(in->data, in->data + in->head, left);
    in->head = 0;
    in->tail = left;
  }
  return in->capacity > in->tail;
}
#endif

uint8_t *copse_wire_space(copse_wire *wire, size_t *size) {
  copse__input *in = &wire->in;
  copse__retire_free(wire);
  in->room = *size = 0;
  if (wire->failed || in->eof) return NULL;
  if (!make_room(wire)) {
    if (in->tail - in->head < frame_size(in))
      copse__violate(wire, COPSE_CODE_NO_MEMORY, 0, "out of memory");
    return NULL;
  }
  in->room = in->capacity - in->tail;
  *size = in->room;
  return in->data + in->tail;
}

void copse_wire_fed(copse_wire *wire, size_t size) {
  copse__input *in = &wire->in;
  if (size > in->room) size = in->room; /* more was not given */
  in->tail += size;
  in->room -= size;
  if (in->tail - in->head > in->peak) in->peak = in->tail - in->head;
  if (in->room == 0) in->peak = in->capacity;
  wire->bytes_in += size;
}

size_t copse_wire_recv(copse_wire *wire, const void *data, size_t size) {
  size_t room;
  uint8_t *space = copse_wire_space(wire, &room);
  if (!space) return wire->failed ? size : 0; /* after the end, input goes nowhere */
  if (size > room) size = room;
  if (size) memcpy(space, data, size);
  copse_wire_fed(wire, size);
  return size;
}

void copse_wire_eof(copse_wire *wire) { wire->in.eof = true; }
