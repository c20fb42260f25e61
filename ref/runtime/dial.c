/* SPDX-License-Identifier: MIT
 *
 * Dialling: copse_connect.
 *
 * A connection is a service of the scope that asked for it. Several scopes that ask for the same
 * address or actor share one link; with the last of them it says BYE. The scope ends when the link
 * has: so when a scope has ended, nothing that it opened is left, on either side.
 *
 * A reference may list several addresses. They are tried in their order, each until it brings the
 * actor that was asked for.
 */
#include "runtime/internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TOKEN_MAX 4096

typedef struct dial {
  copse *rt;
  copse_member member;
  copse__grave grave;
  copse__poll poll;
  copse__timer timer;
  copse_job job;     /* the first step, in the turn */
  copse__list all;   /* in rt->dials */
  copse__list users; /* of the peer: see `opened` */
  copse_ref *ref;    /* who is asked for; NULL: whoever is there */
  unsigned next;     /* of its addresses, where there are several to try */
  bool listed;       /* `address` is one of those */
  copse__address address;
  int fd;
  copse__link *link; /* while it greets */
  copse_peer *peer;  /* whom it uses: referenced, and counted there */
  bool answered;
  bool over; /* its scope is done with it: it leaves with the link */
  int tries;
  copse__timer retry;
  copse_connect_cb done;
  void *arg;
  copse_error *failed; /* what became of earlier addresses */
  bool token_is_ours;  /* from the file, for TCP alone */
  size_t token_size;
  uint8_t token[];
} dial;

static void release(copse__grave *grave) {
  dial *d = copse__of(grave, dial, grave);
  copse_error_unref(d->failed);
  free(d->ref);
  free(d);
}

static void stop_trying(dial *d) {
  copse__poll_stop(&d->poll);
  copse__timer_stop(d->rt, &d->timer);
  copse__timer_stop(d->rt, &d->retry);
  copse_unpost(d->rt, &d->job);
  if (d->fd >= 0) close(d->fd);
  d->fd = -1;
}

/* The service is over. */
static void leave(dial *d) {
  stop_trying(d);
  copse__list_remove(&d->all);
  copse__list_remove(&d->users);
  if (d->peer) {
    d->peer->users--;
    copse__peer_unref(d->peer);
    d->peer = NULL;
  }
  copse_member_leave(&d->member, NULL);
  copse__bury(d->rt, &d->grave, release);
}

/* For good. Takes the error. */
static void fail(dial *d, copse_error *error) {
  stop_trying(d);
  if (!d->answered) {
    d->answered = true;
    d->done(d->rt, NULL, error, d->arg);
  }
  copse_error_unref(error);
  leave(d);
}

static copse_error *unreachable(dial *d, const char *why) {
  return copse_error_new(COPSE_CODE_UNREACHABLE, "%s: %s", d->address.text, why);
}

/* The next listed address that can be dialled at all; else why there is none. */
static copse_status next_address(dial *d) {
  copse_status status = COPSE_EADDRESS;
  while (d->listed && d->next < d->ref->address_count) {
    status = copse__address_parse(d->ref->addresses[d->next++], &d->address, NULL);
    if (status == COPSE_OK && d->address.kind == COPSE__ADDRESS_TCP && !d->address.loopback)
      status = COPSE_EDENIED;
    else if (status == COPSE_OK && d->address.kind != COPSE__ADDRESS_UNIX &&
             d->address.kind != COPSE__ADDRESS_TCP)
      status = COPSE_EADDRESS;
    if (status == COPSE_OK) return status;
  }
  return status;
}

/* What is said at the end names all that was tried. */
static copse_error *also(copse_error *before, copse_error *error) {
  const copse_error_info *a = copse_error_get(before), *b = copse_error_get(error);
  copse_error *both = copse_error_new(b->known, "%s; %s", a->message, b->message);
  copse_error_unref(before);
  copse_error_unref(error);
  return both;
}

static void start(dial *d);

/* This address has brought nothing: the next, if there is one. Takes the error. */
static void fall_through(dial *d, copse_error *error) {
  stop_trying(d);
  if (d->failed) error = also(d->failed, error);
  d->failed = NULL;
  if (next_address(d) == COPSE_OK) {
    d->failed = error;
    start(d);
  } else {
    fail(d, error);
  }
}

static void succeed(dial *d) {
  d->answered = true;
  d->done(d->rt, d->peer, NULL, d->arg);
}

/* --- the link's hooks ------------------------------------------------------------------------- */

static void opened(copse__link *link) {
  dial *d = link->owner;
  if (!d) return;
  d->link = NULL;
  copse__timer_stop(d->rt, &d->timer);
  d->peer = copse__peer_ref(link->peer);
  d->peer->users++;
  if (!d->peer->address)
    d->peer->address = strdup(d->address.text); /* without it, it is just not shared */
  copse__list_push(&d->peer->services, &d->users);
  link->owner = NULL;
  succeed(d);
}

static void lost(copse__link *link, copse_error *error, bool graceful) {
  dial *d = link->owner;
  (void)graceful;
  if (d) { /* still greeting */
    static const copse_code told[] = {COPSE_CODE_WRONG_ACTOR, COPSE_CODE_VERSION,
                                      COPSE_CODE_NO_MEMORY};
    copse_code code = link->code == COPSE_CODE_TOKEN ? COPSE_CODE_DENIED : COPSE_CODE_UNREACHABLE;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
      if (link->code == told[i]) code = told[i];
    link->owner = NULL;
    d->link = NULL;
    fall_through(d,
                 copse_error_new(code, "%s: %s", d->address.text, copse_error_get(error)->message));
    return;
  }
  if (!link->peer) return;
  /* The others stay until their scopes end, because who connected may hold the peer until then. */
  for (copse__list *node = link->peer->services.next, *next; node != &link->peer->services;
       node = next) {
    dial *service = copse__of(node, dial, users);
    next = node->next;
    if (service->over) leave(service);
  }
}

static const copse__link_hooks dial_hooks = {.opened = opened, .lost = lost};

/* --- connecting ------------------------------------------------------------------------------- */

static void on_deadline(copse__timer *timer) {
  dial *d = copse__of(timer, dial, timer);
  copse__link *link = d->link;
  d->link = NULL;
  if (link) {
    link->owner = NULL;
    copse__link_bye(link, COPSE_CODE_TIMEOUT, "no HELLO in time");
  }
  fall_through(d, unreachable(d, "no answer in time"));
}

static void connected(dial *d) {
  bool local = d->address.kind == COPSE__ADDRESS_UNIX;
  int fd = d->fd;
  struct ucred peer;
  socklen_t size = sizeof peer;
  copse__poll_stop(&d->poll);
  if (local && (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.uid != geteuid())) {
    fall_through(d,
                 copse_error_new(COPSE_CODE_DENIED, "%s belongs to another user", d->address.text));
    return;
  }
  if (!local) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  copse_peer *expected = copse__peer_new(d->rt, d->ref);
  if (!expected) {
    fail(d, copse__error_no_memory());
    return;
  }
  d->fd = -1;
  bool say_token = d->token_size && !(local && d->token_is_ours);
  /* A unix socket's listener is of this user. Who answers on TCP has proven nothing: it may open
   * nothing here. */
  copse__link_options options = {.rfd = fd,
                                 .wfd = fd,
                                 .connector = true,
                                 .from = local ? COPSE_FROM_LOCAL : 0,
                                 .heartbeat_ms = COPSE__HEARTBEAT_MS,
                                 .hello_ms = -1,
                                 .token = {d->token, say_token ? d->token_size : 0},
                                 .peer = expected,
                                 .hooks = &dial_hooks,
                                 .owner = d};
  copse_status status = copse__link_new(d->rt, &options, &d->link);
  copse__peer_unref(expected); /* the link has it now */
  if (status) fail(d, copse_status_error(status, d->address.text));
}

static void on_poll(copse__poll *poll, int events) {
  dial *d = copse__of(poll, dial, poll);
  int error = 0;
  socklen_t size = sizeof error;
  (void)events;
  if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &size)) error = errno;
  if (error) fall_through(d, unreachable(d, strerror(error)));
  else connected(d);
}

/* A unix socket whose backlog is full says EAGAIN, and no poll tells when it is not. */
static void again(copse__timer *timer);

static void attempt(dial *d) {
  copse *rt = d->rt;
  if (connect(d->fd, &d->address.sock.any, d->address.sock_size) == 0) {
    connected(d);
    return;
  }
  if (errno == EINPROGRESS || errno == EINTR) {
    copse_status status = copse__poll_start(rt, &d->poll, d->fd, UV_WRITABLE, on_poll);
    if (status) fail(d, copse_status_error(status, d->address.text));
  } else if (errno == EAGAIN && d->tries < 100) {
    d->tries++;
    copse__timer_start(rt, &d->retry, copse__after(rt, 50), again);
  } else {
    fall_through(d, unreachable(d, strerror(errno)));
  }
}

static void again(copse__timer *timer) { attempt(copse__of(timer, dial, retry)); }

static void start(dial *d) {
  d->tries = 0;
  d->fd = socket(d->address.sock.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (d->fd < 0) { /* no other address would have more luck */
    fail(d, unreachable(d, strerror(errno)));
    return;
  }
  copse__timer_start(d->rt, &d->timer, copse__after(d->rt, COPSE__HELLO_MS), on_deadline);
  attempt(d);
}

/* In the turn: what is decided at once must not call back from within copse_connect. */
static void on_start(copse_job *job) {
  dial *d = copse__of(job, dial, job);
  if (!d->peer) start(d);
  else if (copse_peer_alive(d->peer)) succeed(d);
  else fail(d, unreachable(d, "the link was lost"));
}

/* --- the service ------------------------------------------------------------------------------ */

/* The scope finishes, or is cancelled: contexts on the link are in scopes of their own, and the
 * graceful end waits for them. */
static void on_over(copse_member *member, void *arg) {
  dial *d = arg;
  copse__link *link = d->link;
  copse_scope *scope = copse_member_scope(member);
  if (!d->answered) {
    d->link = NULL;
    if (link) {
      link->owner = NULL;
      copse__link_bye(link, COPSE_CODE_NONE, NULL);
    }
    fail(d, copse_error_new(COPSE_CODE_CANCELLED, "cancelled while connecting to %s",
                            d->address.text));
    return;
  }
  /* Of a link that is lost, and still drains, nothing more is told that could be waited for. */
  link = d->peer ? d->peer->link : NULL;
  if (link && !link->lost_told && d->peer->users == 1 && !d->peer->parent && !d->peer->child) {
    d->over = true;
    copse__link_bye(link, COPSE_CODE_NONE, NULL); /* leaves when it is over */
    if (copse_scope_is_cancelled(scope)) copse__link_hurry(link, copse__scope_grace_left(scope));
    return;
  }
  leave(d);
}

static copse_peer *find_address(copse *rt, const char *address) {
  for (copse__list *node = rt->peers.next; node != &rt->peers; node = node->next) {
    copse_peer *peer = copse__of(node, copse_peer, all);
    if (peer->address && strcmp(peer->address, address) == 0 && copse_peer_alive(peer)) return peer;
  }
  return NULL;
}

/* The token of the file that the environment named when the runtime began. 0: none. */
static size_t read_token(copse *rt, uint8_t *token, size_t max) {
  size_t size = 0;
  FILE *file = rt->token_file ? fopen(rt->token_file, "re") : NULL;
  if (!file) return 0;
  size = fread(token, 1, max, file);
  fclose(file);
  while (size && (token[size - 1] == '\n' || token[size - 1] == '\r')) size--;
  return size;
}

/* Where to, and with which token; nothing is begun. */
static copse_status prepare(dial *d, const char *address, copse_bytes token) {
  if (!address) {
    d->listed = true;
    copse_status status = next_address(d);
    if (status) return status;
  } else if (d->address.kind != COPSE__ADDRESS_UNIX && d->address.kind != COPSE__ADDRESS_TCP) {
    return COPSE_EADDRESS;
  } else if (d->address.kind == COPSE__ADDRESS_TCP && !d->address.loopback) {
    return COPSE_EDENIED;
  }
  d->token_is_ours = !token.data;
  d->token_size = token.data ? token.size : read_token(d->rt, d->token, TOKEN_MAX);
  if (token.data && token.size) memcpy(d->token, token.data, token.size);
  return COPSE_OK;
}

copse_status copse_connect(copse *rt, copse_scope *scope, const char *address, const copse_ref *ref,
                           copse_bytes token, copse_connect_cb done, void *arg) {
  static const copse_member_cbs cbs = {on_over, on_over};
  if (!scope || !done || (!address && !ref) || token.size > TOKEN_MAX) return COPSE_EINVAL;
  if (scope->cancelled || scope->ended) return COPSE_ECANCELLED;
  dial *d = calloc(1, sizeof *d + (token.data ? token.size : TOKEN_MAX));
  if (!d) return COPSE_ENOMEM;
  copse_status status = COPSE_OK;
  d->rt = rt;
  d->fd = -1;
  d->done = done;
  d->arg = arg;
  d->job.cb = on_start;
  copse__list_init(&d->all);
  copse__list_init(&d->users);
  if (ref && !(d->ref = malloc(sizeof *d->ref))) status = COPSE_ENOMEM;
  else if (ref) *d->ref = *ref;
  copse_peer *known = ref ? copse__peer_find(rt, ref->id) : NULL;
  if (address && status == COPSE_OK) {
    status = copse__address_parse(address, &d->address, NULL);
    if (status == COPSE_OK && !ref) known = find_address(rt, address);
  }
  if (status == COPSE_OK && !known) status = prepare(d, address, token);
  if (status != COPSE_OK) {
    release(&d->grave);
    return status;
  }
  if (known) {
    d->peer = copse__peer_ref(known);
    d->peer->users++;
    copse__list_push(&known->services, &d->users);
  }
  copse__list_push(&rt->dials, &d->all);
  copse__member_join(scope, &d->member, &cbs, NULL, d);
  copse_post(rt, &d->job);
  return COPSE_OK;
}

void copse__dials_drop(copse *rt) {
  while (!copse__list_empty(&rt->dials)) {
    dial *d = copse__of(rt->dials.next, dial, all);
    if (d->member.scope) {
      copse__list_remove(&d->member.link);
      copse__list_remove(&d->member.due);
      d->member.scope = NULL;
    }
    leave(d);
  }
}
