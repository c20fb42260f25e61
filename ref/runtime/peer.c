/* SPDX-License-Identifier: MIT
 *
 * Peers: who a link is with.
 *
 * A peer outlives the moment: a child's is there before the child has said a word, and contexts
 * still name it when its link is lost. So it is counted: by its link, by its contexts, by whoever
 * owns it. What a user opens on a child that is not ready yet waits here.
 *
 * An actor that connected to us is a peer of its own even if it bears the id of one we know: an id
 * proves nothing, and what we open goes over links that we dialled, inherited or made ourselves.
 */
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>

copse_peer *copse__peer_new(copse *rt, const copse_ref *ref) {
  copse_peer *peer = calloc(1, sizeof *peer);
  if (!peer) return NULL;
  peer->rt = rt;
  peer->refs = 1;
  if (ref) {
    peer->ref = *ref;
    peer->known = true;
  }
  copse__list_init(&peer->held);
  copse__list_init(&peer->services);
  copse__list_push(&rt->peers, &peer->all);
  return peer;
}

copse_peer *copse__peer_ref(copse_peer *peer) {
  peer->refs++;
  return peer;
}

static void release(copse__grave *grave) {
  copse_peer *peer = copse__of(grave, copse_peer, grave);
  free(peer->address);
  free(peer);
}

void copse__peer_unref(copse_peer *peer) {
  if (!peer || --peer->refs) return;
  copse__list_remove(&peer->all);
  copse__bury(peer->rt, &peer->grave, release);
}

copse_peer *copse_peer_retain(copse_peer *peer) { return copse__peer_ref(peer); }

void copse_peer_release(copse_peer *peer) { copse__peer_unref(peer); }

copse_peer *copse__peer_find(copse *rt, const uint8_t id[16]) {
  copse_peer *found = NULL;
  for (copse__list *node = rt->peers.next; node != &rt->peers; node = node->next) {
    copse_peer *peer = copse__of(node, copse_peer, all);
    if (!peer->known || memcmp(peer->ref.id, id, sizeof peer->ref.id) != 0) continue;
    if (peer->parent || peer->child) return peer;
    if (peer->address && copse_peer_alive(peer)) found = peer;
  }
  return found;
}

void copse__peer_hold(copse_peer *peer) { peer->hold = true; }

void copse__peer_release(copse_peer *peer) {
  copse__list now;
  peer->hold = false;
  copse__list_init(&now);
  copse__list_move(&now, &peer->held);
  for (copse__list *node; (node = copse__list_pop(&now));)
    copse__context_unhold(copse__of(node, copse_context, all));
}

void copse__peer_fail_held(copse_peer *peer, copse_error *error) {
  copse__list now;
  copse__list_init(&now);
  copse__list_move(&now, &peer->held);
  for (copse__list *node; (node = copse__list_pop(&now));)
    copse__context_lost(copse__of(node, copse_context, all), error);
}

const copse_ref *copse_peer_ref(const copse_peer *peer) { return &peer->ref; }

bool copse_peer_alive(const copse_peer *peer) {
  const copse__link *link = peer->link;
  return link && link->state == COPSE__LINK_OPEN && !link->why && !link->peer_bye &&
         !link->bye_said;
}

copse_child *copse_peer_child(const copse_peer *peer) { return peer->child; }

copse_peer_state copse_peer_get_state(const copse_peer *peer) { return peer->state; }

copse_status copse_peer_flush(copse_peer *peer, copse_job *job) {
  if (!peer->link || peer->link->state == COPSE__LINK_CLOSED) return COPSE_ECLOSED;
  copse__link_when_flushed(peer->link, job);
  return COPSE_OK;
}

copse_status copse_peer_get_info(const copse_peer *peer, copse_wire_info *info) {
  if (!peer->link) return COPSE_ECLOSED;
  copse_wire_get_info(peer->link->wire, info);
  return COPSE_OK;
}

void copse_peer_fds(const copse_peer *peer, int fds[2]) {
  fds[0] = peer->link ? peer->link->rfd : -1;
  fds[1] = peer->link ? peer->link->wfd : -1;
}

/* --- ping ------------------------------------------------------------------------------------- */

copse_status copse_peer_ping(copse_peer *peer, void (*cb)(copse_peer *peer, uint64_t us, void *arg),
                             void *arg) {
  copse__link *link = peer->link;
  uint8_t bytes[16];
  copse_buf value = {.data = bytes, .capacity = sizeof bytes, .max = sizeof bytes};
  if (!cb) return COPSE_EINVAL;
  if (!link || link->state != COPSE__LINK_OPEN) return COPSE_ECLOSED;
  if (link->ping.cb) return COPSE_EAGAIN;
  copse_pack_int(&value, (int64_t)++link->ping.serial);
  copse_status status = copse_wire_ping(link->wire, copse_buf_bytes(&value));
  if (status) return status;
  link->ping.cb = cb;
  link->ping.arg = arg;
  link->ping.sent_ns = uv_hrtime();
  copse__link_dirty(link);
  return COPSE_OK;
}

void copse__peer_pong(copse__link *link, copse_bytes value) {
  int64_t serial;
  /* An unsolicited one keeps a heartbeat promise, and is not meant for anybody here. */
  if (!link->ping.cb || copse_value_int(value, &serial) || serial != (int64_t)link->ping.serial)
    return;
  void (*cb)(copse_peer *, uint64_t, void *) = link->ping.cb;
  link->ping.cb = NULL;
  cb(link->peer, (uv_hrtime() - link->ping.sent_ns) / 1000, link->ping.arg);
}
