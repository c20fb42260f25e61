/* SPDX-License-Identifier: MIT
 *
 * rogue-tool: a peer that keeps no promise.
 *
 *   rogue-tool STEP...                 spawned as an actor: plays on the link of COPSE_LINK
 *   rogue-tool dial unix:PATH STEP...  connects like any stranger
 *   rogue-tool listen unix:PATH STEP...  says "ready" and plays to the first that connects
 *
 * A robust program is one that survives its peers, so its tests need peers that are wrong in
 * exactly one way. Each is a script, given as arguments and done in order; what a test is about can
 * then be read where the test is:
 *
 *   hello            a good HELLO, as whom the environment says
 *   hello=COUNT      its first COUNT bytes, or without its last -COUNT
 *   rest             what of it was not sent
 *   slowly           from here on every byte is a write of its own
 *   hex=BYTES        raw bytes
 *   frame=KIND:CONTEXT[:HEX]  a frame; KIND in hexadecimal
 *   header=KIND:CONTEXT:LENGTH  the header of a frame, without the payload
 *   open=ID:TARGET[:FLAGS]  OPEN without arguments; FLAGS s: send, c: much credit
 *   items=ID:COUNT:SIZE  so many items of so many bytes, whatever the credit
 *   bomb=ID:depth, bomb=ID:count  an OPEN whose arguments nest too deep, claim to be too many
 *   calls=FIRST:COUNT:TARGET  so many OPENs, one after the other, and nothing is read
 *   pings=COUNT      so many PINGs
 *   started, returned, failed, cancelled  an answer on the first context that was opened here,
 *                    reading until it is
 *   until=KIND       reads until a frame of this kind has come, and says so; the code of an ERROR
 *                    or BYE, too, and whether what is CANCELLED ran
 *   eof              reads until the end of the input, and says so
 *   close, shut      closes the link; only its outgoing half
 *   say=TEXT, grumble=TEXT   a line on the standard output, on the standard error output
 *   ignore=SIGNAL    from here on; a number
 *   detach           a grandchild in a session of its own that holds all that it inherits and
 *                    ignores SIGTERM
 *   detach-away      the same, that holds nothing
 *   stop, hang, spin, exit=STATUS, die=SIGNAL
 *
 * Without hang and the like it exits with 0 at the end of the script, and with 9 when the link
 * ended before a frame that it waited for. */
#include <copse/wire.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEADER 12
#define KEEP 65536 /* of a payload; the rest is read and dropped */
#define BOMB_DEPTH 20000
#define MESSAGE_MAX (16u << 20)
#define WATCHDOG_S 120

static int in = -1, out = -1;
static bool slow;
static copse_ref self;
static copse_buf hello;
static size_t hello_sent;
static uint64_t actor_context; /* the first that was opened on us */

__attribute__((noreturn)) static void quit(int status, const char *what) {
  fprintf(stderr, "rogue: %s\n", what);
  exit(status);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put(const void *data, size_t size) {
  const uint8_t *at = data;
  while (size) {
    ssize_t n = write(out, at, slow ? 1 : size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return; /* the other side has had enough: what it said can still be read */
    at += n;
    size -= (size_t)n;
  }
}

static void put_header(unsigned kind, uint64_t context, size_t length) {
  uint8_t header[HEADER] = {(uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,
                            (uint8_t)kind};
  for (int i = 0; i < 8; i++) header[4 + i] = (uint8_t)(context >> (56 - 8 * i));
  put(header, sizeof header);
}

static void put_frame(unsigned kind, uint64_t context, copse_bytes payload) {
  put_header(kind, context, payload.size);
  put(payload.data, payload.size);
}

static void put_buf(unsigned kind, uint64_t context, copse_buf *buf) {
  put_frame(kind, context, copse_buf_bytes(buf));
  copse_buf_deinit(buf);
}

static void put_hex(const char *hex) {
  unsigned byte;
  for (; sscanf(hex, "%2x", &byte) == 1; hex += 2) put(&(uint8_t){(uint8_t)byte}, 1);
}

static void make_hello(void) {
  copse_buf map;
  copse_buf_init(&map, MESSAGE_MAX, NULL);
  copse_buf_init(&hello, MESSAGE_MAX, NULL);
  const char *token = getenv("COPSE_TOKEN");
  copse_pack_map(&map, token ? 4 : 3);
  copse_pack_cstr(&map, "copse");
  copse_pack_array(&map, 2);
  copse_pack_int(&map, 1);
  copse_pack_int(&map, 1);
  copse_pack_cstr(&map, "actor");
  copse_pack_ref(&map, &self, false);
  copse_pack_cstr(&map, "features");
  copse_pack_array(&map, 1);
  copse_pack_cstr(&map, "stream");
  if (token) {
    uint8_t bytes[64];
    size_t size = 0;
    unsigned byte;
    for (; size < sizeof bytes && sscanf(token, "%2x", &byte) == 1; token += 2)
      bytes[size++] = (uint8_t)byte;
    copse_pack_cstr(&map, "token");
    copse_pack_bin(&map, bytes, size);
  }
  copse_bytes payload = copse_buf_bytes(&map);
  uint8_t header[HEADER] = {(uint8_t)(payload.size >> 16), (uint8_t)(payload.size >> 8),
                            (uint8_t)payload.size, COPSE_KIND_HELLO};
  copse_buf_append(&hello, header, sizeof header);
  copse_buf_append(&hello, payload.data, payload.size);
  copse_buf_deinit(&map);
}

static void send_hello(const char *count) {
  copse_bytes whole = copse_buf_bytes(&hello);
  long size = count ? strtol(count, NULL, 10) : (long)whole.size;
  hello_sent = size < 0 ? whole.size - (size_t)-size : (size_t)size;
  put(whole.data, hello_sent);
}

static void pack_open(copse_buf *buf, const char *target, const char *flags, int more) {
  bool send = flags && strchr(flags, 's'), credit = flags && strchr(flags, 'c');
  copse_buf_init(buf, MESSAGE_MAX, NULL);
  copse_pack_map(buf, 1u + send + credit + (size_t)more);
  copse_pack_cstr(buf, "target");
  copse_pack_cstr(buf, target);
  if (send) {
    copse_pack_cstr(buf, "send");
    copse_pack_bool(buf, true);
  }
  if (credit) {
    copse_pack_cstr(buf, "credit");
    copse_pack_array(buf, 2);
    copse_pack_int(buf, 1 << 20);
    copse_pack_int(buf, 1 << 30);
  }
}

static void put_open(uint64_t id, const char *target, const char *flags) {
  copse_buf buf;
  pack_open(&buf, target, flags, 0);
  put_buf(COPSE_KIND_OPEN, id, &buf);
}

static void put_bomb(uint64_t id, bool deep) {
  static const uint8_t array_of_one = 0x91, nil = 0xc0;
  static const uint8_t array_of_all[] = {0xdd, 0xff, 0xff, 0xff, 0xff};
  copse_buf buf;
  pack_open(&buf, "copse.info", NULL, 1);
  copse_pack_cstr(&buf, "args");
  if (deep) {
    for (int i = 0; i < BOMB_DEPTH; i++) copse_buf_append(&buf, &array_of_one, 1);
    copse_buf_append(&buf, &nil, 1);
  } else {
    copse_buf_append(&buf, array_of_all, sizeof array_of_all);
  }
  put_buf(COPSE_KIND_OPEN, id, &buf);
}

static void put_items(uint64_t id, long count, size_t size) {
  copse_buf buf;
  char *bytes = calloc(1, size + 1);
  if (!bytes) quit(8, "no memory");
  copse_buf_init(&buf, MESSAGE_MAX, NULL);
  copse_pack_bin(&buf, bytes, size);
  for (long i = 0; i < count; i++) put_frame(COPSE_KIND_ITEM, id, copse_buf_bytes(&buf));
  copse_buf_deinit(&buf);
  free(bytes);
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool get(void *data, size_t size) {
  uint8_t *at = data, waste[4096];
  while (size) {
    size_t want = data ? size : size < sizeof waste ? size : sizeof waste;
    ssize_t n = read(in, data ? at : waste, want);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    if (data) at += n;
    size -= (size_t)n;
  }
  return true;
}

/* One frame; false at the end of the input. */
static bool get_frame(unsigned *kind, uint64_t *context, copse_bytes *payload) {
  static uint8_t kept[KEEP];
  uint8_t header[HEADER];
  if (!get(header, sizeof header)) return false;
  size_t length = (size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2];
  size_t keep = length < sizeof kept ? length : sizeof kept;
  *kind = header[3] & 0x7f;
  *context = 0;
  for (int i = 0; i < 8; i++) *context = *context << 8 | header[4 + i];
  *payload = (copse_bytes){kept, keep};
  if (*kind == COPSE_KIND_OPEN && !actor_context) actor_context = *context;
  return get(kept, keep) && get(NULL, length - keep);
}

static void read_until(const char *name) {
  unsigned kind;
  uint64_t context;
  copse_bytes payload, code, value;
  bool ran;
  while (get_frame(&kind, &context, &payload)) {
    if (strcmp(copse_kind_name(kind), name) != 0) continue;
    printf("%s", name);
    if (copse_map_get(payload, "code", &code) == COPSE_OK &&
        copse_value_str(code, &code) == COPSE_OK)
      printf(" %.*s", (int)code.size, (const char *)code.data);
    if (copse_map_get(payload, "ran", &value) == COPSE_OK &&
        copse_value_bool(value, &ran) == COPSE_OK)
      printf(ran ? " ran" : " not ran");
    putchar('\n');
    return;
  }
  printf("no %s\n", name);
  fflush(stdout);
  quit(9, "the link has ended");
}

static void read_to_end(void) {
  unsigned kind;
  uint64_t context;
  copse_bytes payload;
  while (get_frame(&kind, &context, &payload)) continue;
  puts("eof");
}

/* An answer to the first OPEN, which may not have come yet. */
static void answer(unsigned kind) {
  unsigned got;
  uint64_t context;
  copse_bytes payload;
  copse_buf buf;
  while (!actor_context)
    if (!get_frame(&got, &context, &payload)) quit(9, "the link has ended");
  copse_buf_init(&buf, MESSAGE_MAX, NULL);
  if (kind == COPSE_KIND_ERROR) {
    copse_pack_map(&buf, 2);
    copse_pack_cstr(&buf, "code");
    copse_pack_cstr(&buf, "failed");
    copse_pack_cstr(&buf, "message");
    copse_pack_cstr(&buf, "the rogue says that it failed");
  } else if (kind == COPSE_KIND_CANCELLED) {
    copse_pack_map(&buf, 2);
    copse_pack_cstr(&buf, "origin");
    copse_pack_cstr(&buf, "requested");
    copse_pack_cstr(&buf, "ran");
    copse_pack_bool(&buf, true);
  } else if (kind == COPSE_KIND_STARTED) {
    copse_pack_map(&buf, 0);
  } else {
    copse_pack_nil(&buf);
  }
  put_buf(kind, actor_context, &buf);
}

/* --- the process ------------------------------------------------------------------------------ */

static void detach(bool away) {
  pid_t pid = fork();
  if (pid < 0) quit(8, "fork failed");
  if (pid > 0) return;
  setsid();
  if (fork() != 0) _exit(0);
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  if (away)
    for (int fd = 0; fd < 64; fd++) close(fd);
  for (;;) pause();
}

static const char *after(const char *step, const char *verb) {
  size_t size = strlen(verb);
  return strncmp(step, verb, size) == 0 && step[size] == '=' ? step + size + 1 : NULL;
}

/* A step with an argument; false if there is no such one. */
static bool play_with(const char *step) {
  const char *arg;
  char target[256] = "", flags[8] = "", how[8] = "";
  unsigned kind;
  unsigned long long id;
  long count, size;
  int used = 0;
  if ((arg = after(step, "hello"))) {
    send_hello(arg);
  } else if ((arg = after(step, "hex"))) {
    put_hex(arg);
  } else if ((arg = after(step, "frame")) && sscanf(arg, "%x:%llu%n", &kind, &id, &used) == 2) {
    const char *hex = arg[used] == ':' ? arg + used + 1 : "";
    put_header(kind, id, strlen(hex) / 2);
    put_hex(hex);
  } else if ((arg = after(step, "header")) && sscanf(arg, "%x:%llu:%ld", &kind, &id, &size) == 3) {
    put_header(kind, id, (size_t)size);
  } else if ((arg = after(step, "open")) &&
             sscanf(arg, "%llu:%255[^:]:%7s", &id, target, flags) >= 2) {
    put_open(id, target, flags);
  } else if ((arg = after(step, "items")) && sscanf(arg, "%llu:%ld:%ld", &id, &count, &size) == 3) {
    put_items(id, count, (size_t)size);
  } else if ((arg = after(step, "bomb")) && sscanf(arg, "%llu:%7s", &id, how) == 2) {
    put_bomb(id, strcmp(how, "depth") == 0);
  } else if ((arg = after(step, "calls")) &&
             sscanf(arg, "%llu:%ld:%255s", &id, &count, target) == 3) {
    for (; count > 0; count--, id += 2) put_open(id, target, NULL);
  } else if ((arg = after(step, "pings"))) {
    for (count = strtol(arg, NULL, 10); count > 0; count--)
      put_frame(COPSE_KIND_PING, 0, (copse_bytes){(const uint8_t *)"\xc0", 1});
  } else if ((arg = after(step, "until"))) {
    read_until(arg);
  } else if ((arg = after(step, "say"))) {
    puts(arg);
  } else if ((arg = after(step, "grumble"))) {
    fprintf(stderr, "%s\n", arg);
  } else if ((arg = after(step, "ignore"))) {
    signal(atoi(arg), SIG_IGN);
  } else if ((arg = after(step, "exit"))) {
    exit(atoi(arg));
  } else if ((arg = after(step, "die"))) {
    signal(atoi(arg), SIG_DFL);
    raise(atoi(arg));
  } else {
    return false;
  }
  return true;
}

static void play_rest(void) {
  copse_bytes whole = copse_buf_bytes(&hello);
  put(whole.data + hello_sent, whole.size - hello_sent);
}

static void play_slowly(void) { slow = true; }
static void play_started(void) { answer(COPSE_KIND_STARTED); }
static void play_returned(void) { answer(COPSE_KIND_RETURN); }
static void play_failed(void) { answer(COPSE_KIND_ERROR); }
static void play_cancelled(void) { answer(COPSE_KIND_CANCELLED); }
static void play_detach(void) { detach(false); }
static void play_detach_away(void) { detach(true); }
static void play_stop(void) { raise(SIGSTOP); }
static void play_hello(void) { send_hello(NULL); }
static void play_shut(void) { shutdown(out, SHUT_WR); }

static void play_close(void) {
  close(in);
  if (out != in) close(out);
}

static void play_hang(void) {
  for (;;) pause();
}

static void play_spin(void) {
  for (volatile unsigned i = 0;; i++) continue;
}

static void play(const char *step) {
  static const struct {
    const char *verb;
    void (*play)(void);
  } plain[] = {
      {"hello", play_hello},         {"rest", play_rest},         {"slowly", play_slowly},
      {"started", play_started},     {"returned", play_returned}, {"failed", play_failed},
      {"cancelled", play_cancelled}, {"eof", read_to_end},        {"close", play_close},
      {"shut", play_shut},           {"detach", play_detach},     {"detach-away", play_detach_away},
      {"stop", play_stop},           {"hang", play_hang},         {"spin", play_spin}};
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
    if (strcmp(step, plain[i].verb) != 0) continue;
    plain[i].play();
    fflush(stdout);
    return;
  }
  if (!play_with(step)) {
    fprintf(stderr, "rogue: what is '%s'?\n", step);
    exit(8);
  }
  fflush(stdout);
}

/* --- getting there ---------------------------------------------------------------------------- */

static struct sockaddr_un place(const char *address) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  if (strncmp(address, "unix:", 5) != 0 || strlen(address + 5) >= sizeof at.sun_path)
    quit(8, "not an address of a unix socket");
  strcpy(at.sun_path, address + 5);
  return at;
}

static void dial(const char *address) {
  struct sockaddr_un to = place(address);
  in = out = socket(AF_UNIX, SOCK_STREAM, 0);
  if (in < 0 || connect(in, (struct sockaddr *)&to, sizeof to) != 0) quit(8, "cannot connect");
}

static void serve(const char *address) {
  struct sockaddr_un at = place(address);
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) != 0 ||
      listen(listener, 1) != 0)
    quit(8, "cannot listen");
  puts("ready");
  fflush(stdout);
  in = out = accept(listener, NULL, NULL);
  if (in < 0) quit(8, "nobody came");
  unlink(at.sun_path);
  close(listener);
}

static void name_self(void) {
  snprintf(self.name, sizeof self.name, "rogue");
  for (size_t i = 0; i < sizeof self.id; i++)
    self.id[i] = (uint8_t)((unsigned)getpid() >> (8 * (i % 4)) ^ i);
}

static void find_link(const char *link) {
  if (strcmp(link, "stdio:") == 0) {
    in = dup(0);
    out = dup(1);
    if (in < 0 || out < 0 || dup2(2, 1) < 0) quit(8, "cannot move the link away");
  } else if (sscanf(link, "fd:%d,%d", &in, &out) == 1) {
    out = in;
  } else if (in < 0) {
    dial(link);
  }
}

static void find_self(const char *actor) {
  unsigned byte;
  const char *name = strchr(actor, ' ');
  for (size_t i = 0; i < sizeof self.id && sscanf(actor + 2 * i, "%2x", &byte) == 1; i++)
    self.id[i] = (uint8_t)byte;
  snprintf(self.name, sizeof self.name, "%s", name ? name + 1 : "?");
}

int main(int argc, char **argv) {
  const char *link = getenv("COPSE_LINK"), *actor = getenv("COPSE_ACTOR");
  int first = 1;
  alarm(WATCHDOG_S);
  signal(SIGPIPE, SIG_IGN);
  if (argc > 2 && strcmp(argv[1], "dial") == 0) {
    dial(argv[2]);
    name_self();
    first = 3;
  } else if (argc > 2 && strcmp(argv[1], "listen") == 0) {
    serve(argv[2]);
    name_self();
    first = 3;
  } else if (link && actor) {
    find_link(link);
    find_self(actor);
  } else {
    quit(8, "neither spawned nor told whom to dial");
  }
  make_hello();
  for (int i = first; i < argc; i++) play(argv[i]);
  copse_buf_deinit(&hello);
  return 0;
}
