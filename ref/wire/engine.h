/* SPDX-License-Identifier: MIT
 *
 * What the engine's files share: its state, and who does what.
 *
 *   engine.c   making and freeing one; the little calls
 *   context.c  the table of contexts
 *   input.c    bytes in: the buffer that frames are parsed in, in place
 *   frame.c    the header; what each kind of frame may be
 *   recv.c     judging a frame, in the order of checks that the protocol fixes, and applying it
 *   link.c     HELLO, BYE, PING, PONG; failing and closing
 *   control.c  schemas and encoders of control payloads
 *   output.c   bytes out: the buffer, memory lent by the caller, marks
 *   send.c     messages: straight to the output or queued, cut into fragments, served in turn
 *   calls.c    the public calls on contexts
 */
#ifndef COPSE_WIRE_ENGINE_H
#define COPSE_WIRE_ENGINE_H

#include "wire/tables.h"
#include "wire/value.h"

#include <endian.h>
#include <string.h>

enum {
  COPSE__FRAME_MAX = (1 << 24) - 1,
  COPSE__CONTROL_MAX = 1024,      /* payload of a frame that is no message */
  COPSE__HELLO_MAX = 16384,       /* payload of HELLO and BYE */
  COPSE__OUTPUT_SOFT = 64 * 1024, /* messages are encoded while less than this is unwritten */
  COPSE__BYE_RESERVE = 640,       /* output memory set aside, so that a last BYE needs none */
  COPSE__LEND_MIN = COPSE_LEND_MIN,
  COPSE__LENT_COUNT = 16,
};

/* --- lists ------------------------------------------------------------------------------------ */

/* A circular list through its members; a lone node is a member of none. */
typedef struct copse__node {
  struct copse__node *prev, *next;
} copse__node;

static inline void copse__list_init(copse__node *node) { node->prev = node->next = node; }
static inline bool copse__list_empty(const copse__node *list) { return list->next == list; }
static inline void copse__list_remove(copse__node *node) {
  node->prev->next = node->next;
  node->next->prev = node->prev;
  copse__list_init(node);
}
static inline void copse__list_push(copse__node *list, copse__node *node) {
  copse__list_remove(node);
  node->prev = list->prev;
  node->next = list;
  list->prev->next = node;
  list->prev = node;
}
#define COPSE__OWNER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* --- pieces ----------------------------------------------------------------------------------- */

/* A message that is being put together from fragments, or was and is still in view. */
typedef struct copse__blob {
  struct copse__blob *next;
  size_t size, capacity;
  uint8_t data[];
} copse__blob;

/* A message that waits to be sent. Its bytes follow it, or (lent) are the caller's. */
typedef struct copse__message {
  struct copse__message *next;
  size_t allocated;
  size_t size, sent;
  size_t part, offset; /* where the next fragment begins */
  size_t count;
  uint8_t kind;
  bool partial; /* a fragment with `more` is out */
  bool lent;
  copse_bytes parts[];
} copse__message;

/* Where a context waits for its turn to send. */
enum copse__place {
  COPSE__PLACE_NONE,
  COPSE__PLACE_RING,    /* served in turn */
  COPSE__PLACE_PARKED,  /* its message must be split, and the peer takes no more partials */
  COPSE__PLACE_OPENS,   /* its OPEN waits for the OPENs before it */
  COPSE__PLACE_LEAVING, /* its terminal is encoded and not yet handed over */
};

typedef struct copse__context {
  uint64_t id;
  void *user;
  struct copse__context *chain; /* the next in its bucket, or on the free list */
  copse__node turn;             /* see copse__place */
  copse__node owes;             /* on wire->owing: STOP, CREDIT or CANCEL are to be written */
  copse__node notice;           /* on wire->notices: an event is due */
  copse__message *queue, *queue_last;
  copse__blob *assembly;
  copse__blob *cancel_owed;  /* the payload of a repeated CANCEL */
  uint64_t leaves_at;        /* the output position at which its terminal is handed over */
  copse_credit grant, begun; /* out half: what the peer granted, what I began */
  copse_credit given, taken; /* in half: what I granted, what the peer began */
  int64_t grace;             /* of the CANCEL sent or received; -1: the default */
  uint64_t assembled;        /* bytes of the unfinished message that came */
  uint8_t life, out, in;     /* states of the three machines */
  uint8_t place;
  uint8_t incoming; /* the kind of the peer's unfinished message; 0: none */
  bool opener;
  bool cancelled;  /* opener: CANCEL was asked for; callee: CANCEL arrived */
  bool no_more;    /* the peer reads no items: sending is a soft no */
  bool detached;   /* callee: its terminal was given; the caller has forgotten it */
  bool end_queued; /* an END stands behind the queue */
  bool end_owed;   /* callee: END answers a STOP, once STARTED is out */
  bool stop_owed, credit_owed;
  bool want_write; /* COPSE_EAGAIN was answered */
  bool withdrawn;
  bool skip; /* the peer's unfinished message is being discarded */
  bool open_sends, open_reads;
} copse__context;

typedef struct copse__lent {
  uint64_t at; /* stands before this byte of those that the engine owns */
  const uint8_t *data;
  size_t size;
} copse__lent;

typedef struct copse__output {
  uint8_t *data;
  size_t capacity, head, tail;
  uint64_t taken; /* own bytes handed over */
  copse__lent lent[COPSE__LENT_COUNT];
  unsigned lent_first, lent_count;
  size_t lent_bytes;
  uint64_t written; /* all bytes handed over */
  size_t peak;
  unsigned quiet;
} copse__output;

typedef struct copse__input {
  uint8_t *data;
  size_t capacity, head, tail;
  size_t room; /* what the last copse_wire_space gave */
  size_t peak;
  unsigned quiet;
  bool judged; /* the header at the head was judged and is fine */
  bool eof;
} copse__input;

struct copse_wire {
  copse_mem mem;
  copse_ref self;
  char *agent;
  uint8_t *token;
  size_t agent_size, token_size;
  uint32_t heartbeat_ms;
  uint32_t my_features, features;
  copse_limits mine, theirs;

  uint8_t link;
  bool connector;
  bool hello_sent, hello_received, bye_sent, bye_received;
  bool failed;   /* something ended the link; nothing more is sent or judged */
  bool graceful; /* ... but it was the agreed end */
  bool closed_told;
  bool violation_due;
  copse_code violation_code;
  uint64_t violation_context;
  const char *violation_why;

  copse__input in;
  copse__output out;

  copse__context **buckets;
  size_t bucket_count;
  copse__context *spare;
  size_t spare_count;
  size_t opened, serving;
  uint64_t next_id, highest_id; /* the next I give; the highest the peer gave */
  uint64_t opening_id;          /* the peer's OPEN that is unfinished; 0: none */

  copse__node ring, parked, opens, leaving;
  copse__node owing, notices;
  copse__context *open_active; /* the one whose OPEN may be written now */
  uint32_t partials_out, partials_in;
  size_t queued_bytes;
  copse__blob *retired; /* assembled messages that views may point into */

  bool ping_out;
  uint64_t ping_number;
  copse__blob *ping; /* what my PING said */
  uint64_t pong_at;  /* the output position at which my last answer is handed over */

  uint64_t frames_in, frames_out, bytes_in;
};

static inline void copse__blob_free(const copse_wire *wire, copse__blob *blob) {
  if (blob) copse__resize(&wire->mem, blob, sizeof *blob + blob->capacity, 0);
}

/* --- frame.c ---------------------------------------------------------------------------------- */

typedef struct copse__frame {
  uint32_t length;
  bool more;
  uint8_t kind;
  uint64_t context;
} copse__frame;

static inline void copse__frame_read(const uint8_t *at, copse__frame *frame) {
  uint32_t first;
  uint64_t context;
  memcpy(&first, at, sizeof first);
  memcpy(&context, at + sizeof first, sizeof context);
  first = be32toh(first);
  *frame = (copse__frame){first >> 8, first >> 7 & 1, first & 0x7f, be64toh(context)};
}
static inline void copse__frame_write(uint8_t *at, copse__frame frame) {
  const uint32_t first = htobe32(frame.length << 8 | (uint32_t)frame.more << 7 | frame.kind);
  const uint64_t context = htobe64(frame.context);
  memcpy(at, &first, sizeof first);
  memcpy(at + sizeof first, &context, sizeof context);
}

/* What a kind of frame may be. */
typedef struct copse__kind_rule {
  bool known;
  bool link;    /* on context 0 */
  bool message; /* may be split; its length is bounded by `frame` */
  uint8_t from; /* bit 0: the opener sends it, bit 1: the callee */
  uint8_t feature;
  uint16_t limit;
  uint8_t opener_event, callee_event; /* columns of the life tables where it is received */
} copse__kind_rule;

extern const copse__kind_rule copse__kind_rules[32];
static inline const copse__kind_rule *copse__kind_rule_of(uint8_t kind) {
  return kind < 32 && copse__kind_rules[kind].known ? &copse__kind_rules[kind] : NULL;
}

/* --- context.c -------------------------------------------------------------------------------- */

copse_status copse__contexts_init(copse_wire *wire);
void copse__contexts_deinit(copse_wire *wire);
copse__context *copse__context_new(copse_wire *wire, uint64_t id, bool opener);
void copse__context_free(copse_wire *wire, copse__context *ctx);
static inline copse__context *copse__context_find(const copse_wire *wire, uint64_t id) {
  copse__context *ctx = wire->buckets[id & (wire->bucket_count - 1)];
  while (ctx && ctx->id != id) ctx = ctx->chain;
  return ctx;
}
static inline bool copse__id_mine(const copse_wire *wire, uint64_t id) {
  return (id & 1) == (uint64_t)wire->connector;
}
/* An event about the context is due: copse_wire_next will find out which. */
void copse__context_notice(copse_wire *wire, copse__context *ctx);

/* --- input.c ---------------------------------------------------------------------------------- */

void copse__input_deinit(copse_wire *wire);
/* Forgets what is in view. */
void copse__retire_free(copse_wire *wire);

/* --- output.c --------------------------------------------------------------------------------- */

copse_status copse__output_init(copse_wire *wire);
void copse__output_deinit(copse_wire *wire);
static inline size_t copse__unwritten(const copse_wire *wire) {
  return wire->out.tail - wire->out.head + wire->out.lent_bytes;
}
/* The position right after the last byte that is encoded. */
static inline uint64_t copse__output_end(const copse_wire *wire) {
  return wire->out.written + copse__unwritten(wire);
}
/* Makes room for `size` bytes besides the reserve. */
copse_status copse__output_reserve(copse_wire *wire, size_t size);
/* These go into reserved room and cannot fail. */
static inline void copse__output_header(copse_wire *wire, copse__frame frame) {
  copse__frame_write(wire->out.data + wire->out.tail, frame);
  wire->out.tail += COPSE_HEADER_SIZE;
  wire->frames_out++;
}
static inline void copse__output_bytes(copse_wire *wire, const void *data, size_t size) {
  if (size == 0) return;
  memcpy(wire->out.data + wire->out.tail, data, size);
  wire->out.tail += size;
}
void copse__output_lend(copse_wire *wire, const void *data, size_t size);
bool copse__output_can_lend(const copse_wire *wire);
/* A whole frame that is no message. */
copse_status copse__output_frame(copse_wire *wire, uint8_t kind, uint64_t context,
                                 copse_bytes payload);

/* --- send.c ----------------------------------------------------------------------------------- */

/* Sends a message on a context, straight or by its queue. Nothing is changed unless COPSE_OK. */
copse_status copse__message_send(copse_wire *wire, copse__context *ctx, uint8_t kind,
                                 const copse_bytes *parts, size_t count, unsigned flags);
/* END, behind whatever is queued. */
void copse__end_send(copse_wire *wire, copse__context *ctx);
/* Withdraws what is queued and not begun, and abandons what is. */
void copse__queue_drop(copse_wire *wire, copse__context *ctx);
/* Only the ITEMs of it. */
void copse__queue_drop_items(copse_wire *wire, copse__context *ctx);
/* STOP or CREDIT are to be written. */
void copse__owe(copse_wire *wire, copse__context *ctx);
/* Encodes what may be encoded now. */
void copse__pump(copse_wire *wire);
copse_status copse__messages_settle(copse_wire *wire);

/* --- recv.c ----------------------------------------------------------------------------------- */

/* Takes frames until one has made an event, a notice or a violation; false: no whole frame left. */
bool copse__receive(copse_wire *wire, copse_event *event);
/* Takes the next frame if it is a whole item of this context that is wanted, and no other. False
 * without an event: it is not, or it was a violation. */
bool copse__receive_item(copse_wire *wire, copse__context *ctx, copse_event *event);

/* --- link.c ----------------------------------------------------------------------------------- */

/* The link ends here: BYE is queued, COPSE_EV_VIOLATION is due. */
void copse__violate(copse_wire *wire, copse_code code, uint64_t context, const char *why);
copse_status copse__hello_send(copse_wire *wire);
/* Says BYE, once. */
copse_status copse__bye_send(copse_wire *wire, copse_code code, const char *message,
                             uint64_t context);
void copse__closing_enter(copse_wire *wire);
/* Frames of the link; true if an event was made. */
bool copse__link_receive(copse_wire *wire, const copse__frame *frame, copse_bytes payload,
                         copse_event *event);
/* If the agreed end is reached, closes. */
void copse__link_settle(copse_wire *wire);

/* --- control.c -------------------------------------------------------------------------------- */

/* Decoders: COPSE_CODE_NONE, or the code of the violation with *why. */
copse_code copse__hello_decode(copse_bytes payload, copse_event *event, uint32_t *version_min,
                               uint32_t *version_max, const char **why);
copse_code copse__bye_decode(copse_bytes payload, copse_event *event, const char **why);
copse_code copse__open_decode(copse_bytes payload, copse_event *event, const char **why);
copse_code copse__credit_decode(copse_bytes payload, copse_credit *credit, const char **why);
copse_code copse__cancel_decode(copse_bytes payload, copse_event *event, const char **why);
copse_code copse__cancelled_decode(copse_bytes payload, copse_event *event, const char **why);
copse_code copse__error_check(copse_bytes payload, const char **why);

/* The map of a cause; the caller packs so many keys more, for which so many bytes of a fixed buffer
 * are left: the message is cut for that. */
void copse__cause_encode(copse_buf *buf, const copse_cause *cause, int extra, size_t reserve);
/* Writes an error map that is too large again, with less in it. */
void copse__error_cut(copse_buf *buf, copse_bytes error, size_t max);

#endif
