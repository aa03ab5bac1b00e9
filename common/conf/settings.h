/* The small files that programs keep beside the fleet file: who they are, whom they trust, where they listen.
 *
 * An identity is what a dialling program needs: the controller's address and public key, and its own secret
 * key. Agents and the command line each have one (YAML):
 *
 *   controller: bastion:7117
 *   controller_key: 64 hex digits
 *   secret_key: 64 hex digits
 *
 * Files that hold a secret key are refused when group or others may read or write them. */
#pragma once

#include <stdint.h>

#include "common/base/error.h"
#include "common/model/service.h"

#define SETTINGS_KEY_SIZE      32u
#define SETTINGS_ENDPOINT_SIZE 272u /* "HOST:PORT": a host's name has at most 253 bytes */

struct identity {
        char address[SETTINGS_ENDPOINT_SIZE];  /* of the controller, "HOST:PORT" */
        uint8_t controller[SETTINGS_KEY_SIZE]; /* its public key */
        uint8_t secret[SETTINGS_KEY_SIZE];     /* our own secret key: overwrite it after use */
};

/* -ENOENT: no such file; -EACCES: may be read by others (or not by us); -EINVAL: not an identity. All with a
 * text. */
int identity_read(struct identity *ret, const char *path, struct error *error);
/* Writes it with mode 0600, whole or not at all, durably. The folder must exist. */
int identity_write(const struct identity *identity, const char *path, struct error *error);

/* The secret key in the file at path (64 hex digits and a line end, mode 0600). Where there is none yet, a
 * new one is made of the kernel's random bytes and is on disk when this returns. The folder must exist. */
int settings_key(uint8_t ret_secret[SETTINGS_KEY_SIZE], const char *path, struct error *error);

/* The controller's settings, all optional; what the file leaves out keeps the value that ret came with:
 *
 *   listen: 0.0.0.0:7117
 *   advertise: bastion:7117        where agents and people reach it, for invitations
 *   fleet: /etc/muster/fleet.yaml
 *   state: /var/lib/muster
 */
struct controller_settings {
        char listen[SETTINGS_ENDPOINT_SIZE];
        char advertise[SETTINGS_ENDPOINT_SIZE];
        char fleet[PATH_SIZE];
        char state[PATH_SIZE];
};
int controller_settings_read(struct controller_settings *ret, const char *path, struct error *error);
