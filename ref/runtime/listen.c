/* SPDX-License-Identifier: MIT
 *
 * Listening.
 *
 * A unix socket is for processes of the same user: its mode is 0600 from the moment
 * it exists, and the kernel says who has connected. TCP is for loopback alone until
 * there is TLS, and demands a token, because every user of the machine can connect
 * there. Who has connected and not said HELLO costs little and not for long, but is
 * a stranger: there is a limit to them, and the oldest goes first.
 */
#include "runtime/internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 128
#define GREETING_MAX 64 /* accepted links that have not said HELLO */
#define ACCEPT_MAX 32   /* of one turn */
#define PAUSE_MS 100    /* when no more descriptors are to be had */
#define TOKEN_MIN 16

struct copse__listener {
  copse *rt;
  copse__list all;
  copse__poll poll;
  copse__timer pause;
  copse__address address;
  int fd;
  bool starved; /* there were no descriptors for the last one who came */
  size_t token_size;
  uint8_t *token;
  copse__grave grave;
};

bool copse__equal_secret(const void *a, size_t a_size, const void *b, size_t b_size) {
  const uint8_t *x = a, *y = b;
  unsigned difference = a_size != b_size;
  for (size_t i = 0; i < b_size; i++) difference |= (unsigned)(y[i] ^ (i < a_size ? x[i] : 0));
  return difference == 0;
}

/* --- what is announced ------------------------------------------------------------------------ */

void copse__self_add(copse *rt, const char *address) {
  if (rt->self.address_count == COPSE_REF_ADDRESSES_MAX || strlen(address) > COPSE_ADDRESS_MAX)
    return;
  memcpy(rt->self.addresses[rt->self.address_count++], address, strlen(address) + 1);
}

void copse__self_remove(copse *rt, const char *address) {
  for (unsigned i = 0; i < rt->self.address_count; i++) {
    if (strcmp(rt->self.addresses[i], address) != 0) continue;
    unsigned after = rt->self.address_count - i - 1u;
    memmove(rt->self.addresses[i], rt->self.addresses[i + 1], after * sizeof rt->self.addresses[0]);
    rt->self.address_count--;
    return;
  }
}

/* --- accepting -------------------------------------------------------------------------------- */

/* The owner of an accepted link is its listener, until it has said HELLO. */
static void greeted(copse__link *link) {
  if (!link->greeting) return;
  link->greeting = false;
  link->rt->greeting--;
}

static bool on_hello(copse__link *link, const copse_event *event, copse_code *code,
                     const char **why) {
  copse__listener *listener = link->owner;
  copse *rt = link->rt;
  greeted(link);
  if (rt->claim && rt->claim(link, event)) return true;
  if (!listener) { /* closed in the meantime */
    *code = COPSE_CODE_NONE;
    *why = "no longer listening";
    return false;
  }
  if (listener->token_size && !copse__equal_secret(event->hello.token.data, event->hello.token.size,
                                                   listener->token, listener->token_size)) {
    *code = COPSE_CODE_TOKEN;
    *why = event->hello.token.size ? "the token is wrong" : "a token is needed here";
    return false;
  }
  return true;
}

static void on_lost(copse__link *link, copse_error *error, bool graceful) {
  (void)error;
  (void)graceful;
  greeted(link);
}

static const copse__link_hooks accepted_hooks = {.hello = on_hello, .lost = on_lost};

static void drop_oldest(copse *rt) {
  for (copse__list *node = rt->links.next; node != &rt->links; node = node->next) {
    copse__link *link = copse__of(node, copse__link, all);
    if (!link->greeting) continue;
    copse_log(rt, COPSE_LOG_WARN, "too many connections without HELLO: the oldest was closed");
    greeted(link);
    copse__link_abort(link, COPSE_CODE_LIMIT, "too many connections without HELLO");
    return;
  }
}

static bool same_user(copse *rt, int fd) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid())
    return true;
  copse_log(rt, COPSE_LOG_WARN, "refused a connection of user %ld",
            size == sizeof peer ? (long)peer.uid : -1L);
  return false;
}

static void on_pause_over(copse__timer *timer) {
  copse__poll_events(&copse__of(timer, copse__listener, pause)->poll, UV_READABLE);
}

static void on_poll(copse__poll *poll, int events) {
  copse__listener *listener = copse__of(poll, copse__listener, poll);
  copse *rt = listener->rt;
  (void)events;
  for (int i = 0; i < ACCEPT_MAX; i++) {
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      int error = errno;
      if (error == ECONNABORTED || error == EINTR) continue;
      if (error != EMFILE && error != ENFILE && error != ENOMEM && error != ENOBUFS) return;
      if (!listener->starved) /* said once, not ten times a second */
        copse_log(rt, COPSE_LOG_WARN, "%s: cannot accept: %s", listener->address.text,
                  strerror(error));
      listener->starved = true;
      copse__poll_events(&listener->poll, 0);
      copse__timer_start(rt, &listener->pause, copse__after(rt, PAUSE_MS), on_pause_over);
      return;
    }
    listener->starved = false;
    bool local = listener->address.kind == COPSE__ADDRESS_UNIX;
    if (rt->closing || (local && !same_user(rt, fd))) {
      close(fd);
      continue;
    }
    if (!local) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (rt->greeting >= GREETING_MAX) drop_oldest(rt);
    copse__link *link;
    copse__link_options options = {.rfd = fd,
                                   .wfd = fd,
                                   .from = local ? COPSE_FROM_LOCAL : COPSE_FROM_REMOTE,
                                   .heartbeat_ms = COPSE__HEARTBEAT_MS,
                                   .hello_ms = COPSE__HELLO_MS,
                                   .hooks = &accepted_hooks,
                                   .owner = listener};
    copse_status status = copse__link_new(rt, &options, &link);
    if (status) {
      copse_log(rt, COPSE_LOG_WARN, "%s: a connection was dropped: %s", listener->address.text,
                copse_status_text(status));
      continue;
    }
    link->greeting = true;
    rt->greeting++;
  }
}

/* --- listening -------------------------------------------------------------------------------- */

static void say(char **why, const char *address, const char *what, const char *detail) {
  if (!why) return;
  size_t size = strlen(address) + strlen(what) + strlen(detail) + 8;
  *why = malloc(size);
  if (*why) snprintf(*why, size, "%s: %s%s%s", address, what, detail[0] ? ": " : "", detail);
}

/* A socket file that nobody listens on is what a killed process has left: it may go. */
static bool is_stale(const copse__address *address) {
  struct stat st;
  if (lstat(address->path, &st) || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid()) return false;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  bool refused = connect(fd, &address->sock.any, address->sock_size) < 0 && errno == ECONNREFUSED;
  close(fd);
  return refused;
}

static int bind_and_listen(copse__address *address) {
  int fd = socket(address->sock.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (address->kind == COPSE__ADDRESS_UNIX) {
    /* The file's mode is the socket's: never more open than this, whatever the umask. */
    if (fchmod(fd, 0600)) goto fail;
  } else {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  }
  if (bind(fd, &address->sock.any, address->sock_size)) {
    if (errno != EADDRINUSE || address->kind != COPSE__ADDRESS_UNIX || !is_stale(address))
      goto fail;
    unlink(address->path);
    if (bind(fd, &address->sock.any, address->sock_size)) goto fail;
  }
  if (listen(fd, BACKLOG)) {
    int error = errno;
    if (address->kind == COPSE__ADDRESS_UNIX) unlink(address->path);
    errno = error;
    goto fail;
  }
  return fd;

fail:;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

copse_status copse__listen(copse *rt, const char *text, copse_bytes token, copse__listener **out,
                           char **why) {
  copse__address address;
  const char *wrong = "";
  if (why) *why = NULL;
  if (!text) text = "";
  copse_status status = copse__address_parse(text, &address, &wrong);
  if (!status && address.kind != COPSE__ADDRESS_UNIX && address.kind != COPSE__ADDRESS_TCP) {
    status = COPSE_EADDRESS;
    wrong = "only unix: and tcp: can be listened on";
  } else if (!status && address.kind == COPSE__ADDRESS_TCP && !address.loopback) {
    status = COPSE_EDENIED;
    wrong = "beyond loopback a link needs TLS, which this version does not have";
  } else if (!status && address.kind == COPSE__ADDRESS_TCP && token.size < TOKEN_MIN) {
    status = COPSE_EINVAL;
    wrong = "a TCP listener needs a token of at least 16 bytes";
  }
  if (status) {
    say(why, text, wrong, "");
    return status;
  }
  copse__listener *listener = calloc(1, sizeof *listener);
  if (!listener || (token.size && !(listener->token = malloc(token.size)))) {
    free(listener);
    return COPSE_ENOMEM;
  }
  if (token.size) memcpy(listener->token, token.data, token.size);
  listener->token_size = token.size;
  listener->rt = rt;
  listener->address = address;
  copse__list_init(&listener->all);
  listener->fd = bind_and_listen(&address);
  if (listener->fd < 0) {
    say(why, text, "cannot listen", strerror(errno));
    status = COPSE_ESYSTEM;
  } else {
    copse__address bound;
    if (address.kind == COPSE__ADDRESS_TCP && copse__address_of(listener->fd, &bound) == COPSE_OK)
      listener->address = bound;
    status = copse__poll_start(rt, &listener->poll, listener->fd, UV_READABLE, on_poll);
  }
  copse__list_push(&rt->listeners, &listener->all);
  if (status) {
    copse__listener_free(listener);
    return status;
  }
  copse__self_add(rt, listener->address.text);
  if (out) *out = listener;
  return COPSE_OK;
}

copse_status copse_listen(copse *rt, const char *address, copse_bytes token, char **why) {
  return copse__listen(rt, address, token, NULL, why);
}

static void release(copse__grave *grave) {
  copse__listener *listener = copse__of(grave, copse__listener, grave);
  free(listener->token);
  free(listener);
}

void copse__listener_free(copse__listener *listener) {
  if (!listener) return;
  copse *rt = listener->rt;
  copse__list_remove(&listener->all);
  copse__poll_stop(&listener->poll);
  copse__timer_stop(rt, &listener->pause);
  for (copse__list *node = rt->links.next; node != &rt->links; node = node->next) {
    copse__link *link = copse__of(node, copse__link, all);
    if (link->hooks == &accepted_hooks && link->owner == listener) link->owner = NULL;
  }
  if (listener->fd >= 0) {
    copse__self_remove(rt, listener->address.text);
    if (listener->address.kind == COPSE__ADDRESS_UNIX) unlink(listener->address.path);
    close(listener->fd);
  }
  copse__bury(rt, &listener->grave, release);
}

void copse__listeners_close(copse *rt) {
  while (!copse__list_empty(&rt->listeners))
    copse__listener_free(copse__of(rt->listeners.next, copse__listener, all));
}

const char *copse__listener_address(const copse__listener *listener) {
  return listener->address.text;
}
