/* Units that start a home's apps at boot, as `pm2 startup` writes them (pm2-USER.service): they know nothing
 * of what the apps need, and race it. Held back from a stop until the restore has ended: disabled, with a
 * record on disk of what is to be enabled again, which is written first and removed last, and outlasts any
 * number of boots. Where no restore comes, the controller asks for the release when no run holds the host. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "agent/pm2/home.h"
#include "common/base/error.h"

typedef struct pm2_boot pm2_boot;

/* units: names with blanks between, "" for none. r negative: error says why, units is what it was about.
 * Once, from the loop; the object is still to be freed, from here or later. */
typedef void (*pm2_boot_done)(void *userdata, int r, const char *units, const struct error *error);

/* Which are enabled. */
int pm2_boot_find(pm2_boot **ret, sd_bus *bus, const struct pm2_home *home, pm2_boot_done done,
                  void *userdata);

/* Disables those that are enabled; folder is where the record is kept (snapshot.h's folder). run: whose
 * snapshot the restore is to bring back; for people. */
int pm2_boot_hold(pm2_boot **ret, sd_bus *bus, const struct pm2_home *home, const char *folder,
                  const char *run, pm2_boot_done done, void *userdata);

/* Enables what the record names and still has a unit file, linking again what was linked; done is told those,
 * "" where all are gone. -ENOENT: there is no record, done never comes. */
int pm2_boot_release(pm2_boot **ret, sd_bus *bus, const struct pm2_home *home, const char *folder,
                     pm2_boot_done done, void *userdata);

/* Lets go; a step that systemd has accepted is carried out. */
pm2_boot *pm2_boot_free(pm2_boot *self);

/* What is held back now. */
struct pm2_boot_held {
        char units[UNIT_SIZE]; /* names with blanks between, "" for none */
        char run[NAME_SIZE];
        uint64_t since_us; /* realtime */
};
void pm2_boot_held(struct pm2_boot_held *ret, const char *folder, const struct pm2_home *home);

/* Whether a unit file's text is for the home: it names the home, or the user and no other home. Pure. */
bool pm2_boot_is_for(const char *text, const struct pm2_home *home);
