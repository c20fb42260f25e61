/* SPDX-License-Identifier: MIT
 *
 * copse/wire.h: one end of a Copse link as a pure state machine.
 *
 * Bytes in, events out. Nothing here reads a clock, calls the system or keeps a global, so a
 * binding in any language can drive it from its own event loop, and a test can drive two of them
 * back to back. The caller moves bytes (`copse_wire_space`/`copse_wire_fed` in,
 * `copse_wire_out`/`copse_wire_out_done` out) and pulls events with `copse_wire_next`. An engine
 * belongs to one thread at a time.
 *
 * Three rules hold for every function:
 *  - Views (`copse_bytes` in an event) point into the engine and live until the next
 *    `copse_wire_space`, `copse_wire_recv` or `copse_wire_free`. Sending functions copy what they
 *    are given, unless they say otherwise.
 *  - Nothing blocks. What cannot be done now returns a negative status and changes nothing.
 *  - After a violation the engine has queued one BYE, yields COPSE_EV_VIOLATION once, and ignores
 *    further input; sending functions return COPSE_ECLOSED from then on.
 *
 * A PONG says that whatever was answered to earlier frames between two calls of `copse_wire_next`
 * is on its way: who refuses an OPEN does it before pulling the next event.
 */
#ifndef COPSE_WIRE_H
#define COPSE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define COPSE_API __attribute__((visibility("default")))
#else
#define COPSE_API
#endif

/* --- status codes ----------------------------------------------------------------------------- */

/* What a function of this library can answer. X(name, number, text) */
#define COPSE_STATUSES(X)                                                                          \
  X(OK, 0, "ok")                                                                                   \
  X(ENOMEM, -1, "out of memory")                                                                   \
  X(EINVAL, -2, "invalid argument")                                                                \
  X(EAGAIN, -3, "not now: no credit or the output is full")                                        \
  X(ENOMORE, -4, "the peer reads no more")                                                         \
  X(ESTATE, -5, "not allowed in this state")                                                       \
  X(ELIMIT, -6, "at the peer's limit of open contexts")                                            \
  X(ETOOLARGE, -7, "larger than the peer's message limit")                                         \
  X(EVALUE, -8, "not one well-formed value")                                                       \
  X(ECLOSED, -9, "the link is closed or closing")                                                  \
  X(EUNKNOWN, -10, "no such context, target or name")                                              \
  X(EADDRESS, -11, "not a usable address")                                                         \
  X(EDENIED, -12, "not allowed")                                                                   \
  X(ESYSTEM, -13, "the operating system refused")                                                  \
  X(EEND, -14, "nothing left to read")                                                             \
  X(ETYPE, -15, "a value of another type was expected")                                            \
  X(ECANCELLED, -16, "the scope is cancelled")

typedef enum copse_status {
#define X(name, number, text) COPSE_##name = number,
  COPSE_STATUSES(X)
#undef X
} copse_status;

/* The constant text / the constant name ("EAGAIN") of a status; "unknown status" for a number
 * that is none. */
COPSE_API const char *copse_status_text(copse_status status);
COPSE_API const char *copse_status_name(copse_status status);

/* --- codes of the protocol -------------------------------------------------------------------- */

/* Codes of BYE and of errors. X(identifier, wire text, scope: LINK or CONTEXT, retry is safe: 0/1).
 * One list feeds the enum, the text, the documentation's lint and the bindings. */
#define COPSE_CODES(X)                                                                             \
  X(NONE, "none", LINK, 0)                                                                         \
  X(VERSION, "version", LINK, 0)                                                                   \
  X(FRAME, "frame", LINK, 0)                                                                       \
  X(VALUE, "value", LINK, 0)                                                                       \
  X(SCHEMA, "schema", LINK, 0)                                                                     \
  X(STATE, "state", LINK, 0)                                                                       \
  X(LIMIT, "limit", LINK, 0)                                                                       \
  X(CREDIT, "credit", LINK, 0)                                                                     \
  X(ECHO, "echo", LINK, 0)                                                                         \
  X(TIMEOUT, "timeout", LINK, 0)                                                                   \
  X(TOKEN, "token", LINK, 0)                                                                       \
  X(HEARTBEAT, "heartbeat", LINK, 0)                                                               \
  X(IDS, "ids", LINK, 0)                                                                           \
  X(INTERNAL, "internal", LINK, 0)                                                                 \
  X(FAILED, "failed", CONTEXT, 0)                                                                  \
  X(CANCELLED, "cancelled", CONTEXT, 0)                                                            \
  X(DEADLINE, "deadline", CONTEXT, 0)                                                              \
  X(GROUP, "group", CONTEXT, 0)                                                                    \
  X(NO_TARGET, "no_target", CONTEXT, 1)                                                            \
  X(DENIED, "denied", CONTEXT, 1)                                                                  \
  X(BAD_ARGS, "bad_args", CONTEXT, 1)                                                              \
  X(NOT_READY, "not_ready", CONTEXT, 1)                                                            \
  X(CLOSING, "closing", CONTEXT, 1)                                                                \
  X(BUSY, "busy", CONTEXT, 1)                                                                      \
  X(TOO_LARGE, "too_large", CONTEXT, 0)                                                            \
  X(LINK_LOST, "link_lost", CONTEXT, 0)                                                            \
  X(DIED, "died", CONTEXT, 0)                                                                      \
  X(SPAWN_FAILED, "spawn_failed", CONTEXT, 1)                                                      \
  X(BOOT_TIMEOUT, "boot_timeout", CONTEXT, 0)                                                      \
  X(UNREACHABLE, "unreachable", CONTEXT, 1)                                                        \
  X(NOT_FOUND, "not_found", CONTEXT, 0)                                                            \
  X(CONFLICT, "conflict", CONTEXT, 0)                                                              \
  X(WRONG_ACTOR, "wrong_actor", BOTH, 1)                                                           \
  X(UNRESPONSIVE, "unresponsive", BOTH, 0)                                                         \
  X(NO_MEMORY, "no_memory", BOTH, 0)

typedef enum copse_code {
#define X(name, text, scope, retry) COPSE_CODE_##name,
  COPSE_CODES(X)
#undef X
      COPSE_CODE_COUNT
} copse_code;

/* The wire text of a code; the code of a wire text (COPSE_CODE_COUNT where unknown); whether a
 * retry is safe. */
COPSE_API const char *copse_code_text(copse_code code);
COPSE_API copse_code copse_code_of(const char *text, size_t size);
COPSE_API bool copse_code_retry(copse_code code);
/* Whether a code may stand in BYE; in an error of a context. */
COPSE_API bool copse_code_of_link(copse_code code);
COPSE_API bool copse_code_of_context(copse_code code);

/* Why something was cancelled. X(identifier, wire text) */
#define COPSE_ORIGINS(X)                                                                           \
  X(REQUESTED, "requested")                                                                        \
  X(ERROR, "error")                                                                                \
  X(DEADLINE, "deadline")                                                                          \
  X(PARENT, "parent")                                                                              \
  X(SHUTDOWN, "shutdown")                                                                          \
  X(LINK_LOST, "link_lost")

typedef enum copse_origin {
#define X(name, text) COPSE_ORIGIN_##name,
  COPSE_ORIGINS(X)
#undef X
      COPSE_ORIGIN_COUNT
} copse_origin;

/* The wire text of an origin; the origin of a wire text (COPSE_ORIGIN_COUNT where unknown). */
COPSE_API const char *copse_origin_text(copse_origin origin);
COPSE_API copse_origin copse_origin_of(const char *text, size_t size);

/* --- bytes and memory ------------------------------------------------------------------------- */

/* A view of bytes that somebody else owns. */
typedef struct copse_bytes {
  const uint8_t *data;
  size_t size;
} copse_bytes;

/* Where memory comes from. `resize(ud, NULL, 0, n)` allocates, `resize(ud, p, old, 0)` frees and
 * returns NULL; NULL for n > 0 is failure and leaves p as it was. A NULL `copse_mem` means the C
 * library's. */
typedef struct copse_mem {
  void *(*resize)(void *ud, void *ptr, size_t old_size, size_t new_size);
  void *ud;
} copse_mem;

/* A growing buffer with a maximum that must be said. The first failure (memory or maximum) is
 * sticky: later appends do nothing, and `copse_buf_status` tells. */
typedef struct copse_buf {
  uint8_t *data;
  size_t size;
  size_t capacity;
  size_t max;
  copse_status status;
  const copse_mem *mem;
} copse_buf;

COPSE_API void copse_buf_init(copse_buf *buf, size_t max, const copse_mem *mem);
COPSE_API void copse_buf_deinit(copse_buf *buf);
/* Empties it and forgets a failure; keeps the memory. */
COPSE_API void copse_buf_reset(copse_buf *buf);
COPSE_API copse_status copse_buf_status(const copse_buf *buf);
/* Appends raw bytes. */
COPSE_API void copse_buf_append(copse_buf *buf, const void *data, size_t size);
COPSE_API copse_bytes copse_buf_bytes(const copse_buf *buf);

/* --- values ----------------------------------------------------------------------------------- */

#define COPSE_DEPTH_MAX 32        /* levels of arrays and maps in a user value */
#define COPSE_NAME_MAX 64         /* bytes of an actor's name */
#define COPSE_TARGET_MAX 255      /* bytes of a target */
#define COPSE_ADDRESS_MAX 120     /* bytes of an address, with its scheme */
#define COPSE_REF_ADDRESSES_MAX 8 /* addresses in one actor reference */
#define COPSE_VIA_MAX 32          /* entries of a relay path */
#define COPSE_EXT_TIMESTAMP (-1)
#define COPSE_EXT_REF 1

/* An actor reference: it names an incarnation of an actor and grants nothing. Strings are NUL-
 * terminated. */
typedef struct copse_ref {
  uint8_t id[16];
  char name[COPSE_NAME_MAX + 1];
  uint8_t address_count;
  char addresses[COPSE_REF_ADDRESSES_MAX][COPSE_ADDRESS_MAX + 1];
} copse_ref;

/* Writing values: each appends one msgpack item to a buffer (see copse_buf for failure).
 * `copse_pack_array` and `copse_pack_map` announce n elements (n pairs), which the caller then
 * appends. Strings must be UTF-8. */
COPSE_API void copse_pack_nil(copse_buf *buf);
COPSE_API void copse_pack_bool(copse_buf *buf, bool value);
COPSE_API void copse_pack_int(copse_buf *buf, int64_t value);
COPSE_API void copse_pack_float(copse_buf *buf, double value);
COPSE_API void copse_pack_str(copse_buf *buf, const char *text, size_t size);
COPSE_API void copse_pack_cstr(copse_buf *buf, const char *text);
COPSE_API void copse_pack_bin(copse_buf *buf, const void *data, size_t size);
COPSE_API void copse_pack_array(copse_buf *buf, size_t count);
COPSE_API void copse_pack_map(copse_buf *buf, size_t count);
COPSE_API void copse_pack_ext(copse_buf *buf, int8_t type, const void *data, size_t size);
COPSE_API void copse_pack_ref(copse_buf *buf, const copse_ref *ref, bool with_addresses);
/* Appends a value that is already encoded. */
COPSE_API void copse_pack_value(copse_buf *buf, copse_bytes value);

/* Reading values: a cursor over bytes, a token at a time. A container's elements follow its
 * token. */
typedef enum copse_type {
  COPSE_NIL,
  COPSE_BOOL,
  COPSE_INT,
  COPSE_FLOAT,
  COPSE_STR,
  COPSE_BIN,
  COPSE_ARRAY,
  COPSE_MAP,
  COPSE_EXT,
} copse_type;

typedef struct copse_token {
  copse_type type;
  int8_t ext;        /* EXT: its type */
  uint32_t count;    /* ARRAY: elements; MAP: pairs */
  bool boolean;      /* BOOL */
  int64_t integer;   /* INT */
  double number;     /* FLOAT */
  copse_bytes bytes; /* STR, BIN, EXT: the content */
} copse_token;

typedef struct copse_reader {
  const uint8_t *at;
  const uint8_t *end;
} copse_reader;

COPSE_API void copse_reader_init(copse_reader *reader, copse_bytes value);
/* The next token. COPSE_EEND at the end, COPSE_EVALUE for bytes that are no value (the reader
 * then stays put). Integers beyond int64 are COPSE_EVALUE. */
COPSE_API copse_status copse_read(copse_reader *reader, copse_token *token);
/* Passes over one whole value (with all its elements), without recursion, and gives its bytes if
 * `value` is not NULL. */
COPSE_API copse_status copse_read_value(copse_reader *reader, copse_bytes *value);
/* Reads one actor reference (ext 1). COPSE_ETYPE if the next value is none; COPSE_EVALUE if it
 * is malformed. */
COPSE_API copse_status copse_read_ref(copse_reader *reader, copse_ref *ref);
/* Finds `key` in a map value: COPSE_OK and its value's bytes, COPSE_EUNKNOWN, or COPSE_ETYPE if
 * this is no map. */
COPSE_API copse_status copse_map_get(copse_bytes map, const char *key, copse_bytes *value);
/* Typed reads of one whole value; COPSE_ETYPE if it is of another type. `copse_value_str` gives
 * a view. */
COPSE_API copse_status copse_value_int(copse_bytes value, int64_t *out);
COPSE_API copse_status copse_value_float(copse_bytes value, double *out); /* takes integers, too */
COPSE_API copse_status copse_value_bool(copse_bytes value, bool *out);
COPSE_API copse_status copse_value_str(copse_bytes value, copse_bytes *out);
COPSE_API copse_status copse_value_bin(copse_bytes value, copse_bytes *out);
COPSE_API copse_status copse_value_ref(copse_bytes value, copse_ref *out);
COPSE_API copse_type copse_value_type(copse_bytes value); /* COPSE_NIL for no bytes at all */

/* Whether the bytes are exactly one value of the profile: well-formed, complete, depth at most
 * COPSE_DEPTH_MAX, str in UTF-8, integers within int64, map keys str or integer, ext 1 a
 * reference. Allocates nothing, never recurses; cost is linear. COPSE_EVALUE otherwise; `why`
 * (may be NULL) gets a constant text and `offset` (may be NULL) where. */
COPSE_API copse_status copse_value_check(copse_bytes value, const char **why, size_t *offset);
/* A value as text for people and logs (JSON-like, one line, cut with "..." at `size`); returns
 * the length written. */
COPSE_API size_t copse_value_text(copse_bytes value, char *text, size_t size);

/* --- engine ----------------------------------------------------------------------------------- */

typedef struct copse_limits {
  uint32_t frame;    /* payload bytes of one frame; at least 16384 */
  uint32_t message;  /* bytes of one message; at least `frame` */
  uint32_t contexts; /* contexts the peer may have open towards me; at least 16 */
  uint32_t partials; /* unfinished messages the peer may have under way; at least 1 */
} copse_limits;

#define COPSE_LIMITS_DEFAULT                                                                       \
  { 65536, 1048576, 256, 8 }

/* Frame kinds as on the wire. X(identifier, byte) */
#define COPSE_KINDS(X)                                                                             \
  X(HELLO, 0x01)                                                                                   \
  X(BYE, 0x02)                                                                                     \
  X(PING, 0x03)                                                                                    \
  X(PONG, 0x04)                                                                                    \
  X(OPEN, 0x10)                                                                                    \
  X(STARTED, 0x11)                                                                                 \
  X(ITEM, 0x12)                                                                                    \
  X(END, 0x13)                                                                                     \
  X(STOP, 0x14)                                                                                    \
  X(CREDIT, 0x15)                                                                                  \
  X(CANCEL, 0x16)                                                                                  \
  X(RETURN, 0x17)                                                                                  \
  X(ERROR, 0x18)                                                                                   \
  X(CANCELLED, 0x19)

typedef enum copse_kind {
#define X(name, byte) COPSE_KIND_##name = byte,
  COPSE_KINDS(X)
#undef X
} copse_kind;

COPSE_API const char *copse_kind_name(unsigned kind); /* "OPEN"; "unknown" */

#define COPSE_FEATURE_STREAM 1u
#define COPSE_FEATURE_SPAWN 2u
#define COPSE_FEATURE_REGISTRY 4u
#define COPSE_FEATURES_ALL 7u

#define COPSE_HEADER_SIZE 12
#define COPSE_VERSION_MIN 1
#define COPSE_VERSION_MAX 1

typedef struct copse_wire copse_wire;

typedef struct copse_wire_config {
  bool connector;        /* I connected (or was spawned): I open odd ids and say HELLO first */
  copse_limits limits;   /* what I am willing to receive; zero fields mean the default */
  uint32_t heartbeat_ms; /* my promise; 0: none */
  uint32_t features;     /* COPSE_FEATURE_* */
  const copse_ref *self; /* copied */
  const char *agent;     /* copied; NULL: "copse/VERSION" */
  copse_bytes token;     /* said in my HELLO; empty: none; copied */
  const copse_mem *mem;  /* NULL: the C library's; must outlive the engine */
} copse_wire_config;

/* An engine in state `hello`. A connector's HELLO is queued at once; an acceptor's when it calls
 * `copse_wire_accept` (after it has seen the peer's HELLO event and found it welcome).
 * Errors: COPSE_ENOMEM, COPSE_EINVAL (limits below the minimum, a bad name). */
COPSE_API copse_status copse_wire_new(copse_wire **wire, const copse_wire_config *config);
COPSE_API void copse_wire_free(copse_wire *wire);

/* Acceptor: say HELLO, after COPSE_EV_HELLO. COPSE_ESTATE for a connector or a second time. */
COPSE_API copse_status copse_wire_accept(copse_wire *wire);

/* --- bytes in --------------------------------------------------------------------------------- */

/* Room to read into: at least one byte, of *size bytes; invalidates all views. Grows with use up
 * to a few frames. NULL and *size = 0 when the engine reads no more (it has failed, or memory is
 * short: copse_wire_next tells), or when it is full of frames whose events have not been pulled. */
COPSE_API uint8_t *copse_wire_space(copse_wire *wire, size_t *size);
/* `size` bytes were put there. Then pull events until COPSE_EV_NONE. */
COPSE_API void copse_wire_fed(copse_wire *wire, size_t size);
/* The two together, for callers with bytes of their own: copies as much as there is room for and
 * returns that; pull events, then come again with the rest. */
COPSE_API size_t copse_wire_recv(copse_wire *wire, const void *data, size_t size);
/* The peer will send no more bytes: yields COPSE_EV_CLOSED after what was received. Idempotent. */
COPSE_API void copse_wire_eof(copse_wire *wire);

/* --- bytes out -------------------------------------------------------------------------------- */

/* What is to be written now, in order: fills up to `count` views and returns how many. May be
 * partly written. */
COPSE_API size_t copse_wire_out(copse_wire *wire, copse_bytes *views, size_t count);
/* `size` bytes of it were handed to the transport. May make events (COPSE_EV_WRITABLE) due. */
COPSE_API void copse_wire_out_done(copse_wire *wire, size_t size);
/* Copies what was lent (COPSE_LEND) and is not written yet, so that the lender's memory is free
 * again. On COPSE_ENOMEM the link is closed with code no_memory. */
COPSE_API copse_status copse_wire_settle(copse_wire *wire);

/* --- events ----------------------------------------------------------------------------------- */

typedef enum copse_event_type {
  COPSE_EV_NONE,      /* nothing now */
  COPSE_EV_HELLO,     /* the peer's HELLO: .hello; an acceptor then accepts or says BYE */
  COPSE_EV_OPEN,      /* a complete OPEN of the peer: .open; answer with started, return, ... */
  COPSE_EV_STARTED,   /* value */
  COPSE_EV_ITEM,      /* value; .item tells what it cost */
  COPSE_EV_END,       /* the peer sends no more items on this context */
  COPSE_EV_STOP,      /* the peer reads no more; the engine answers END; send: COPSE_ENOMORE */
  COPSE_EV_WRITABLE,  /* a send that got COPSE_EAGAIN may be tried again */
  COPSE_EV_CANCEL,    /* callee: .cancel; the first, or (.again) one that shortened the grace */
  COPSE_EV_RETURN,    /* opener: value; the context has ended */
  COPSE_EV_ERROR,     /* opener: value is the error map (schema checked); ended */
  COPSE_EV_CANCELLED, /* opener: .cancelled; ended */
  COPSE_EV_WITHDRAWN, /* opener: no byte of my OPEN was sent (CANCEL or BYE came first); ended */
  COPSE_EV_PONG,      /* value: what my PING said */
  COPSE_EV_BYE,       /* the peer's BYE: .bye */
  COPSE_EV_CLOSED,    /* no more events; .closed.graceful: all was said; else contexts are lost */
  COPSE_EV_VIOLATION, /* the peer broke a rule: .violation; our BYE is queued; contexts are lost */
} copse_event_type;

typedef struct copse_credit {
  uint64_t items;
  uint64_t bytes;
} copse_credit;

/* What CANCEL and CANCELLED say. `by` has an all-zero id where absent. */
typedef struct copse_cause {
  copse_origin origin;
  copse_ref by;       /* without addresses */
  char message[1024]; /* as long as a CANCEL may be; cut to fit, NUL-terminated, UTF-8 */
} copse_cause;

typedef struct copse_event {
  copse_event_type type;
  uint64_t context; /* 0: the link */
  void *user;       /* what copse_wire_set_user stored for this context */
  copse_bytes value;
  union {
    struct {
      copse_ref actor;
      copse_bytes agent; /* str content */
      copse_bytes token; /* bin content; empty: none */
      copse_limits limits;
      uint32_t features; /* the intersection */
      uint32_t heartbeat_ms;
      uint32_t version;
    } hello;
    struct {
      copse_bytes target;      /* str content */
      copse_bytes args;        /* one value: array or map; empty: absent */
      bool send;               /* the opener will send items */
      bool reads;              /* credit was given: the opener reads items */
      copse_credit credit;     /* what it granted */
      int64_t deadline_ms;     /* -1: none */
      copse_bytes traceparent; /* str content; empty: none */
      copse_bytes meta;        /* one map value; empty: none */
    } open;
    struct {
      uint64_t bytes; /* payload bytes counted for this item */
    } item;
    struct {
      copse_cause cause;
      int64_t grace_ms; /* -1: absent */
      bool again;
    } cancel;
    struct {
      copse_cause cause;
      bool ran;
      bool asked; /* I had sent CANCEL before it arrived: absorb it */
    } cancelled;
    struct {
      copse_bytes code, message; /* str contents */
      uint64_t context, last;
    } bye;
    struct {
      bool graceful;
    } closed;
    struct {
      copse_code code;
      uint64_t context;
      const char *why; /* constant text */
    } violation;
  };
} copse_event;

/* The next event; COPSE_EV_NONE when there is none. To be called until then after
 * copse_wire_fed, copse_wire_eof and copse_wire_out_done. The caller may call any other function
 * of the engine between two events. */
COPSE_API copse_event_type copse_wire_next(copse_wire *wire, copse_event *event);

/* If the next event would be an ITEM of this context, takes it: for a consumer that works through a
 * stream in a loop of its own. False, and nothing is taken, where it is another event or none. */
COPSE_API bool copse_wire_next_item(copse_wire *wire, uint64_t context, copse_bytes *value);

/* --- contexts, both roles --------------------------------------------------------------------- */

typedef struct copse_wire_open_args {
  const char *target; /* at most COPSE_TARGET_MAX bytes */
  copse_bytes args;   /* one encoded array or map; empty: absent */
  bool send;          /* I will send items */
  bool reads;         /* I read items: `credit` goes along */
  copse_credit credit;
  int64_t deadline_ms;     /* -1: none */
  const char *traceparent; /* NULL: none */
  copse_bytes meta;        /* one encoded map; empty: none */
  void *user;
} copse_wire_open_args;

/* Opens a context; never waits. Errors: COPSE_ELIMIT (the peer's `contexts`), COPSE_ETOOLARGE,
 * COPSE_EVALUE (args or meta are not a value), COPSE_EINVAL (target), COPSE_ECLOSED,
 * COPSE_ESTATE (no HELLO yet), COPSE_ENOMEM. */
COPSE_API copse_status copse_wire_open(copse_wire *wire, const copse_wire_open_args *args,
                                       uint64_t *context);
COPSE_API void copse_wire_set_user(copse_wire *wire, uint64_t context, void *user);

/* Callee: STARTED with one value (empty: nil). COPSE_ESTATE a second time, COPSE_ETOOLARGE,
 * COPSE_EVALUE. */
COPSE_API copse_status copse_wire_started(copse_wire *wire, uint64_t context, copse_bytes value);

/* Parts of COPSE_LEND_MIN bytes or more stay valid until written or settled, and are not copied. */
#define COPSE_LEND 1u
#define COPSE_LEND_MIN 4096
/* The value comes from copse_pack_* or was checked: it is not validated again. */
#define COPSE_TRUSTED 2u

/* One ITEM whose value is the parts put together. COPSE_EAGAIN: no credit, or enough is queued:
 * COPSE_EV_WRITABLE will tell; COPSE_ENOMORE: the peer said STOP (soft); COPSE_ESTATE: after
 * END, before STARTED, or ended or cancelled; COPSE_ETOOLARGE; COPSE_EVALUE. */
COPSE_API copse_status copse_wire_send(copse_wire *wire, uint64_t context, const copse_bytes *parts,
                                       size_t count, unsigned flags);
/* END: no more items from me. Idempotent. */
COPSE_API copse_status copse_wire_end(copse_wire *wire, uint64_t context);
/* STOP: I read no more. Idempotent. */
COPSE_API copse_status copse_wire_stop(copse_wire *wire, uint64_t context);
/* Grants the peer running totals since OPEN; smaller or equal totals send nothing. */
COPSE_API copse_status copse_wire_credit(copse_wire *wire, uint64_t context, copse_credit total);

/* Opener: CANCEL. A repeat sends only a shorter grace (-1: the peer's default), and of several that
 * wait to be written only the last. Overtakes all that is queued; an OPEN of which nothing was sent
 * is withdrawn (COPSE_EV_WITHDRAWN). The terminal is the answer. */
COPSE_API copse_status copse_wire_cancel(copse_wire *wire, uint64_t context,
                                         const copse_cause *cause, int64_t grace_ms);

/* Callee: terminals. The context ends here at once for the caller (its `user` is forgotten); its
 * slot is freed when the frame is handed to the transport. An oversized RETURN becomes ERROR
 * too_large (COPSE_ETOOLARGE tells so); an oversized ERROR is cut. */
COPSE_API copse_status copse_wire_return(copse_wire *wire, uint64_t context, copse_bytes value);
COPSE_API copse_status copse_wire_error(copse_wire *wire, uint64_t context, copse_bytes error_map);
/* A plain refusal or failure: an ERROR map of code and message alone. */
COPSE_API copse_status copse_wire_refuse(copse_wire *wire, uint64_t context, copse_code code,
                                         const char *message);
/* CANCELLED. To be used only if this context was cancelled: by CANCEL, its deadline, the actor's
 * shutdown or its parent. The engine takes the caller's word for the last three. `ran`: whether
 * user code ran. */
COPSE_API copse_status copse_wire_cancelled(copse_wire *wire, uint64_t context,
                                            const copse_cause *cause, bool ran);

/* --- the link --------------------------------------------------------------------------------- */

/* PING with one value that is not nil (empty: a running number), which COPSE_EV_PONG gives back.
 * COPSE_EAGAIN while one is unanswered; COPSE_ETOOLARGE beyond 1 KiB; COPSE_EINVAL for nil,
 * which an unsolicited PONG carries. */
COPSE_API copse_status copse_wire_ping(copse_wire *wire, copse_bytes value);
/* An unsolicited PONG: keeps a heartbeat promise. */
COPSE_API copse_status copse_wire_pong(copse_wire *wire);
/* BYE. With COPSE_CODE_NONE it is the graceful beginning of the end (open no more, refuse, close
 * when all has ended); with another code the link is over: contexts are lost, and
 * COPSE_EV_CLOSED follows once it is written. */
COPSE_API copse_status copse_wire_bye(copse_wire *wire, copse_code code, const char *message,
                                      uint64_t context);

/* What the engine is in. */
typedef struct copse_wire_info {
  bool hello_received, hello_sent, bye_received, bye_sent, failed, closed;
  copse_limits peer_limits;
  uint32_t features;
  size_t opened;    /* contexts I opened and that have not ended */
  size_t serving;   /* contexts of the peer that hold a slot */
  uint64_t opening; /* the peer's context of whose OPEN a part has come; 0: none */
  size_t unwritten; /* bytes encoded and not handed over, and bytes of queued messages */
  uint64_t frames_in, frames_out, bytes_in, bytes_out;
} copse_wire_info;
COPSE_API void copse_wire_get_info(const copse_wire *wire, copse_wire_info *info);

#ifdef __cplusplus
}
#endif
#endif
