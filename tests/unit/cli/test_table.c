/* Tables: alignment, widths, cutting, and what a hostile cell can do to a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/table.h"
#include "common/base/cleanup.h"

static const char *const heads[] = {"HOST", ">LOAD", "NOTES"};

/* The table as it would be printed; the caller frees it. */
static char *printed(const table *table, const struct terminal *terminal)
{
        char *text = NULL;
        size_t size = 0;
        FILE *file = open_memstream(&text, &size);

        assert_non_null(file);
        assert_int_equal(table_print(table, file, terminal), 0);
        fclose(file);
        return text;
}

static void row(table *table, const char *host, const char *load, const char *notes)
{
        table_cell(table, STYLE_PLAIN, "%s", host);
        table_cell(table, STYLE_WARN, "%s", load);
        table_cell(table, STYLE_PLAIN, "%s", notes);
}

static void test_aligned(void **state)
{
        cleanup_with(table_freep) table *table = NULL;
        struct terminal pipe = {0};
        cleanup_free char *text = NULL;

        assert_int_equal(table_new(&table, heads, ELEMENTS(heads)), 0);
        row(table, "db1", "0.5", "");
        row(table, "application1", "12.25", "disk full");
        text = printed(table, &pipe);
        assert_string_equal(text, "HOST           LOAD  NOTES\n"
                                  "db1             0.5\n"
                                  "application1  12.25  disk full\n");
}

/* A column that is empty everywhere at the right takes no space; neither does an empty table. */
static void test_empty_columns(void **state)
{
        cleanup_with(table_freep) table *table = NULL;
        struct terminal pipe = {0};
        cleanup_free char *none = NULL, *text = NULL;

        assert_int_equal(table_new(&table, heads, ELEMENTS(heads)), 0);
        none = printed(table, &pipe);
        assert_string_equal(none, "HOST\n");
        row(table, "db1", "1", "");
        text = printed(table, &pipe);
        assert_string_equal(text, "HOST  LOAD\ndb1      1\n");
}

/* Wide and combining characters count as the columns that they take. */
static void test_columns(void **state)
{
        cleanup_with(table_freep) table *table = NULL;
        struct terminal pipe = {0};
        cleanup_free char *text = NULL;

        assert_int_equal(table_new(&table, heads, ELEMENTS(heads)), 0);
        row(table, "übung", "1", "x");
        row(table, "服务", "1", "x");
        text = printed(table, &pipe);
        assert_string_equal(text, "HOST   LOAD  NOTES\n"
                                  "übung     1  x\n"
                                  "服务      1  x\n");
}

static void test_cut_on_terminals_only(void **state)
{
        cleanup_with(table_freep) table *table = NULL;
        struct terminal pipe = {0}, narrow = {.tty = true, .width = 24};
        cleanup_free char *whole = NULL, *cut = NULL;

        assert_int_equal(table_new(&table, heads, ELEMENTS(heads)), 0);
        row(table, "db1", "1", "a note that is too long for it");
        whole = printed(table, &pipe);
        cut = printed(table, &narrow);
        assert_non_null(strstr(whole, "a note that is too long for it\n"));
        assert_non_null(strstr(cut, "db1      1  a note that…\n"));
}

static void test_colours(void **state)
{
        cleanup_with(table_freep) table *table = NULL;
        struct terminal plain = {.tty = true, .width = 80},
                        colour = {.tty = true, .colour = true, .width = 80};
        cleanup_free char *without = NULL, *with = NULL;

        assert_int_equal(table_new(&table, heads, ELEMENTS(heads)), 0);
        row(table, "db1", "1", "x");
        without = printed(table, &plain);
        with = printed(table, &colour);
        assert_null(strchr(without, '\033'));
        assert_non_null(strstr(with, "   \033[33m1\033[0m  x\n"));
}

/* Nothing that a peer sends can move the cursor, forge a row, or reorder what stands beside it. */
static void test_hostile_cells(void **state)
{
        static const char *const hostile[] = {
                "\033[2Jdb1",
                "db1\nroot",
                "db1\rdb9",
                "\x9b"
                "31mdb1",
                "\xc2\x9b"
                "31mdb1",
                "a\xe2\x80\xae"
                "1bd",
                "a\xe2\x81\xa6"
                "b",
                "\xff\xfe",
                "\xed\xa0\x80",
                "a\x7f"
                "b",
                "\xc0\xaf",
                "\xe2\x82",
        };

        for (size_t i = 0; i < ELEMENTS(hostile); i++) {
                cleanup_with(table_freep) table *table = NULL;
                struct terminal pipe = {0};
                cleanup_free char *text = NULL;
                size_t lines = 0;

                assert_int_equal(table_new(&table, heads, ELEMENTS(heads)), 0);
                row(table, hostile[i], "1", "x");
                text = printed(table, &pipe);
                for (const char *c = text; *c; c++) {
                        lines += *c == '\n';
                        assert_true((unsigned char)*c >= 0x20 || *c == '\n');
                        assert_true((unsigned char)*c < 0x7f);
                }
                assert_int_equal(lines, 2);
        }
}

static void test_clean_bytes(void **state)
{
        char output[] = "one\ttwo\nthree\0four\033[1m";
        size_t size = clean_bytes(output, sizeof(output) - 1, true);

        assert_int_equal(size, sizeof(output) - 1);
        assert_memory_equal(output, "one\ttwo\nthree?four?[1m", size);
        size = clean_bytes(output, size, false);
        assert_memory_equal(output, "one\ttwo?three?four?[1m", size);
}

static int set_up(void **state)
{
        terminal_init();
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_aligned),     cmocka_unit_test(test_empty_columns),
                cmocka_unit_test(test_columns),     cmocka_unit_test(test_cut_on_terminals_only),
                cmocka_unit_test(test_colours),     cmocka_unit_test(test_hostile_cells),
                cmocka_unit_test(test_clean_bytes),
        };

        return cmocka_run_group_tests(tests, set_up, NULL);
}
