/* The ledger: operations accepted and finished, on disk, surviving crashes and reboots.
 *
 * An append-only file FOLDER/ledger, one line an entry: a checksum and a JSON object, fsynced before the call
 * returns. A torn last line (a crash while writing) is cut off at opening. A damaged line elsewhere is kept
 * as an entry of no kind, until it is older than all entries that are kept: an id that is not there may have
 * been on it. Opening turns what was accepted on an earlier life and has no result into INTERRUPTED, except a
 * reboot whose boot id has changed since, by more than a soft reboot unless it was to be one: that is DONE.
 */
#pragma once

#include <stdbool.h>

#include "common/base/error.h"
#include "common/model/operation.h"

typedef struct ledger ledger;

/* Folder must exist. boot_id: this boot's. -EBUSY: another agent has it. Where nothing can be
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
 * next call for this ledger. */
const struct operation_report *ledger_find(const ledger *ledger, const char *id);
/* The same for who is asked whether an operation was ever accepted: where lines are damaged, an id that is
 * not there is INTERRUPTED from now on, written down, so that nobody begins it any more. *ret NULL: it was
 * never accepted. Negative: that cannot be told now. */
int ledger_account(ledger *ledger, const char *id, const struct operation_report **ret, struct error *error);
size_t ledger_count(const ledger *ledger);
/* Oldest first. Valid until the next call for this ledger. */
const struct operation_report *ledger_entry(const ledger *ledger, size_t index);
/* Whether the entry stands for a damaged line: it reports no operation. */
bool ledger_is_damage(const struct operation_report *entry);
/* Damaged lines that are still kept; the torn last one is not counted. */
size_t ledger_damaged(const ledger *ledger);
