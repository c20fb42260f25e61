/* SPDX-License-Identifier: MIT
 *
 * How links come about other than by inheritance: addresses (address.c), listeners (listen.c) and
 * attempts to connect (dial.c).
 */
#ifndef COPSE_RUNTIME_LISTEN_H
#define COPSE_RUNTIME_LISTEN_H

#include <copse.h>
#include <sys/socket.h>

/* --- address.c -------------------------------------------------------------------------------- */

typedef enum copse__address_kind {
  COPSE__ADDRESS_UNIX,
  COPSE__ADDRESS_TCP,
  COPSE__ADDRESS_FD,
  COPSE__ADDRESS_STDIO
} copse__address_kind;

typedef struct copse__address {
  copse__address_kind kind;
  char text[COPSE_ADDRESS_MAX + 1];
  char path[108]; /* unix */
  int rfd, wfd;   /* fd, stdio */
  union {         /* unix, tcp: ready for bind and connect */
    struct sockaddr any;
    struct sockaddr_storage storage;
  } sock;
  socklen_t sock_size;
  bool loopback; /* tcp */
} copse__address;

/* Reads "unix:PATH", "tcp:HOST:PORT" (numbers, [v6] or localhost), "fd:N", "fd:R,W", "stdio:".
 * COPSE_EADDRESS with *why (constant). */
copse_status copse__address_parse(const char *text, copse__address *address, const char **why);
/* The text of a bound socket's own address. */
copse_status copse__address_of(int fd, copse__address *address);

/* --- listen.c --------------------------------------------------------------------------------- */

typedef struct copse__listener copse__listener;

/* copse_listen, giving the listener (may be NULL). `token` empty: none is demanded (unix only).
 * rt->claim is asked first at the HELLO of each accepted link, and may take it over (a child that
 * dials its parent): by binding a peer, setting hooks of its own, and returning true. */
copse_status copse__listen(copse *rt, const char *address, copse_bytes token,
                           copse__listener **listener, char **why);
/* Stops accepting and removes a socket file. Links that came of it stay. */
void copse__listener_free(copse__listener *listener);
void copse__listeners_close(copse *rt);
/* The actual address (with the port that was assigned). */
const char *copse__listener_address(const copse__listener *listener);
/* In a time that depends on b_size alone. */
bool copse__equal_secret(const void *a, size_t a_size, const void *b, size_t b_size);
/* Adds to / removes from rt->self's addresses. */
void copse__self_add(copse *rt, const char *address);
void copse__self_remove(copse *rt, const char *address);

/* --- dial.c ----------------------------------------------------------------------------------- */

/* When the runtime is freed: forgets connections and attempts. */
void copse__dials_drop(copse *rt);

#endif
