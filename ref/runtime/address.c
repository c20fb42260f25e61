/* SPDX-License-Identifier: MIT
 *
 * Addresses: the texts by which links are made.
 *
 * Numbers only, apart from "localhost": to look a name up blocks or takes a thread, and what lies
 * beyond this machine is not to be had without TLS anyway.
 */
#include "runtime/internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static copse_status bad(const char **why, const char *text) {
  if (why) *why = text;
  return COPSE_EADDRESS;
}

/* A decimal number up to `max`, at `*at`, which is moved behind it. */
static bool number(const char **at, unsigned long max, unsigned long *out) {
  const char *p = *at;
  unsigned long n = 0;
  if (*p < '0' || *p > '9') return false;
  for (; *p >= '0' && *p <= '9'; p++) {
    n = n * 10 + (unsigned long)(*p - '0');
    if (n > max) return false;
  }
  *at = p;
  *out = n;
  return true;
}

static copse_status parse_unix(const char *path, copse__address *a, const char **why) {
  struct sockaddr_un *un = (struct sockaddr_un *)(void *)&a->sock;
  size_t size = strlen(path);
  if (!size) return bad(why, "unix: a path is missing");
  if (path[0] != '/') return bad(why, "unix: the path is not absolute");
  if (size >= sizeof un->sun_path) return bad(why, "unix: the path is longer than 107 bytes");
  a->kind = COPSE__ADDRESS_UNIX;
  un->sun_family = AF_UNIX;
  memcpy(un->sun_path, path, size + 1);
  memcpy(a->path, path, size + 1);
  a->sock_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
  return COPSE_OK;
}

static copse_status parse_tcp(const char *text, copse__address *a, const char **why) {
  char host[64];
  const char *colon = strrchr(text, ':'), *port_text;
  unsigned long port;
  bool bracket = text[0] == '[';
  size_t size;
  if (!colon) return bad(why, "tcp: it should be HOST:PORT");
  size = (size_t)(colon - text);
  if (bracket) {
    if (size < 2 || text[size - 1] != ']') return bad(why, "tcp: a ] is missing");
    text++;
    size -= 2;
  }
  if (size >= sizeof host) return bad(why, "tcp: not a numeric address");
  memcpy(host, text, size);
  host[size] = 0;
  port_text = colon + 1;
  if (!number(&port_text, 65535, &port) || *port_text)
    return bad(why, "tcp: the port is not a number up to 65535");
  a->kind = COPSE__ADDRESS_TCP;
  struct sockaddr_in *in4 = (struct sockaddr_in *)(void *)&a->sock;
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&a->sock;
  if (!bracket && inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                            &in4->sin_addr) == 1) {
    in4->sin_family = AF_INET;
    in4->sin_port = htons((uint16_t)port);
    a->sock_size = sizeof *in4;
    a->loopback = ntohl(in4->sin_addr.s_addr) >> 24 == 127;
    return COPSE_OK;
  }
  if (bracket && inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    a->sock_size = sizeof *in6;
    a->loopback = IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    return COPSE_OK;
  }
  return bad(why, "tcp: not a numeric address (names are not looked up; IPv6 stands in brackets)");
}

static copse_status parse_fd(const char *text, copse__address *a, const char **why) {
  unsigned long r, w;
  if (!number(&text, 1u << 20, &r)) return bad(why, "fd: it should be N or R,W");
  w = r;
  if (*text == ',') {
    text++;
    if (!number(&text, 1u << 20, &w)) return bad(why, "fd: it should be N or R,W");
  }
  if (*text) return bad(why, "fd: it should be N or R,W");
  a->kind = COPSE__ADDRESS_FD;
  a->rfd = (int)r;
  a->wfd = (int)w;
  return COPSE_OK;
}

copse_status copse__address_parse(const char *text, copse__address *a, const char **why) {
  memset(a, 0, sizeof *a);
  a->rfd = a->wfd = -1;
  if (!text || !text[0]) return bad(why, "an address is missing");
  if (strlen(text) > COPSE_ADDRESS_MAX) return bad(why, "the address is longer than 120 bytes");
  memcpy(a->text, text, strlen(text) + 1);
  if (strncmp(text, "unix:", 5) == 0) return parse_unix(text + 5, a, why);
  if (strncmp(text, "tcp:", 4) == 0) return parse_tcp(text + 4, a, why);
  if (strncmp(text, "fd:", 3) == 0) return parse_fd(text + 3, a, why);
  if (strcmp(text, "stdio:") == 0) {
    a->kind = COPSE__ADDRESS_STDIO;
    a->rfd = 0;
    a->wfd = 1;
    return COPSE_OK;
  }
  return bad(why, "it should begin with unix:, tcp:, fd: or stdio:");
}

copse_status copse__address_of(int fd, copse__address *a) {
  char host[INET6_ADDRSTRLEN];
  memset(a, 0, sizeof *a);
  a->rfd = a->wfd = -1;
  a->sock_size = sizeof a->sock;
  if (getsockname(fd, &a->sock.any, &a->sock_size)) return COPSE_ESYSTEM;
  const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)&a->sock;
  const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&a->sock;
  const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&a->sock;
  a->kind = COPSE__ADDRESS_TCP;
  switch (a->sock.any.sa_family) {
  case AF_INET:
    inet_ntop(AF_INET, &in4->sin_addr, host, sizeof host);
    snprintf(a->text, sizeof a->text, "tcp:%s:%u", host, ntohs(in4->sin_port));
    a->loopback = ntohl(in4->sin_addr.s_addr) >> 24 == 127;
    return COPSE_OK;
  case AF_INET6:
    inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
    snprintf(a->text, sizeof a->text, "tcp:[%s]:%u", host, ntohs(in6->sin6_port));
    a->loopback = IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    return COPSE_OK;
  case AF_UNIX:
    a->kind = COPSE__ADDRESS_UNIX;
    snprintf(a->path, sizeof a->path, "%.107s", un->sun_path);
    snprintf(a->text, sizeof a->text, "unix:%s", a->path);
    return COPSE_OK;
  default: return COPSE_EADDRESS;
  }
}
