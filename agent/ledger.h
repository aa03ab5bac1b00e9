/* The ledger: operations accepted and finished, on disk, surviving crashes and reboots.
 *
 * An append-only file FOLDER/ledger, one line an entry: a checksum and a JSON object, fsynced before the call
 * returns. A torn last line (a crash while writing) is cut off at opening; a damaged line elsewhere is
 * skipped and counted. Opening turns what was accepted on an earlier life and has no result into INTERRUPTED,
 * except a reboot whose boot id has changed since: that is DONE. */
#pragma once

#include "common/base/error.h"
#include "common/model/operation.h"

typedef struct ledger ledger;

/* Folder must exist. boot_id: this boot's, 32 hex digits. -EBUSY: another agent has it. Where nothing can be
 * written (a full disk) it opens all the same, for what it holds to be told; recording then fails. */
int ledger_open(ledger **ret, const char *folder, const char *boot_id, struct error *error);
ledger *ledger_close(ledger *ledger);

/* Appends and syncs report (state ACCEPTED, DONE, FAILED, or INTERRUPTED again); the entry of that id becomes
 * it. Negative errno: nothing is recorded and nothing may be begun. -EEXIST: ACCEPTED for an id that is there
 * already. */
int ledger_record(ledger *ledger, const struct operation_report *report, struct error *error);
/* The same for an operation that was accepted and is about to begin its work: its figures are what it saw
 * before. An interrupted entry with figures can be settled by looking. */
int ledger_note(ledger *ledger, const struct operation_report *report, struct error *error);

/* NULL if that id was never accepted (or is older than the thousand entries that are kept). Valid until the
 * next ledger_record. */
const struct operation_report *ledger_find(const ledger *ledger, const char *id);
size_t ledger_count(const ledger *ledger);
/* Oldest first. */
const struct operation_report *ledger_entry(const ledger *ledger, size_t index);
/* Lines that were damaged when it was opened, the torn last one not counted. */
size_t ledger_damaged(const ledger *ledger);
