/* See boot.h. */
#include "common/model/boot.h"

#include <stdint.h>
#include <string.h>

#include "common/base/text.h"
#include "common/model/service.h"

#define KERNEL_DIGITS (ID_SIZE - 1)

bool boot_id_is_sound(const char *id)
{
        char kernel[ID_SIZE];
        unsigned char binary[KERNEL_DIGITS / 2];
        size_t length = strlen(id);
        uint64_t began_us;

        if (length >= BOOT_ID_SIZE || length < KERNEL_DIGITS)
                return false;
        memcpy(kernel, id, KERNEL_DIGITS);
        kernel[KERNEL_DIGITS] = '\0';
        if (text_unhex(binary, sizeof(binary), kernel) < 0)
                return false;
        id += KERNEL_DIGITS;
        return !id[0] || (id[0] == '+' && text_to_u64(id + 1, &began_us) == 0);
}

bool boot_id_same_kernel(const char *a, const char *b)
{
        size_t length = strcspn(a, "+");

        return length == strcspn(b, "+") && strncmp(a, b, length) == 0;
}
