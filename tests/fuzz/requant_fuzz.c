/* Feeds broken JPEGs to the requantiser, built with AddressSanitizer and UBSan (`make fuzz`).
 *
 *   requant_fuzz SEED EXECUTIONS FILE...
 *
 * Each execution takes a file, breaks it in one of the ways below and requantises it with an order as random. What is
 * made must begin and end as a JPEG and be requantisable again without a warning. A finding ends the program: `last.jpg`
 * in the current folder is what it was fed. Any compiler will do; clang's libFuzzer links with the same core:
 * -fsanitize=fuzzer -DREQUANT_LIBFUZZER.
 */
#include <string.h>

#include "../../src/imagemill/imaging/requant.h"
#include "dice.h"

#define MOST_BYTES (1U << 20)

typedef struct {
    uint8_t *data;
    size_t bytes;
} file;

static requant_order any_order(void) {
    static const uint8_t comment[] = {0xFF, 0xFE, 0, 4, 'h', 'i'};
    requant_order order = {0};
    order.quality = (int)any(100) + 1;
    order.orientation = any(3) ? 1 : (int)any(8) + 1;
    order.halve_chroma = any(4) != 0;
    order.progressive = (int)any(3) - 1;
    order.thrift = (double)any(3);
    order.max_scans = 20;
    order.max_pixels = 1 << 20;
    order.memory_bytes = 1 << 24;
    order.segments = any(2) ? comment : NULL;
    order.segments_bytes = order.segments ? sizeof comment : 0;
    return order;
}

static void check(const requant_result *made, const requant_order *order) {
    requant_result again;
    requant_order same = *order;
    if (made->bytes < 100 || memcmp(made->data, "\xFF\xD8\xFF\xE0", 4) ||
        memcmp(made->data + made->bytes - 2, "\xFF\xD9", 2))
        fail("what was made is no JPEG");
    same.orientation = 1;
    if (requant(made->data, made->bytes, &same, &again) != REQUANT_MADE) fail(again.message);
    if (again.width != made->width || again.height != made->height) fail("its sides changed");
    free(again.data);
}

/* Our reader must take what libjpeg takes, read the same of it, and refuse the rest in libjpeg's words. */
static void compare(const uint8_t *data, size_t bytes, const requant_order *order, const requant_result *made,
                    requant_fate fate) {
    requant_result plain;
    requant_order slow = *order;
    slow.is_plain = 1;
    if (requant(data, bytes, &slow, &plain) != fate) fail("libjpeg decides otherwise");
    if (plain.bytes != made->bytes || strcmp(plain.message, made->message)) fail("libjpeg makes another size of it");
    if (plain.bytes && memcmp(plain.data, made->data, plain.bytes)) fail("libjpeg reads something else");
    free(plain.data);
}

static requant_fate run(const uint8_t *data, size_t bytes) {
    const requant_order order = any_order();
    requant_result result;
    const requant_fate fate = requant(data, bytes, &order, &result);
    compare(data, bytes, &order, &result, fate);
    if (fate == REQUANT_MADE) check(&result, &order);
    if (fate != REQUANT_MADE && result.data) fail("data without being made");
    free(result.data);
    return fate;
}

#ifdef REQUANT_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    state = bytes + 1;
    run(data, bytes);
    return 0;
}
#else

/* A place in the headers half of the time: that is where a few bytes mean much. */
static size_t any_place(const file *one) {
    const size_t head = one->bytes < 700 ? one->bytes : 700;
    return (size_t)any(any(2) ? head : one->bytes);
}

static void copy_part(file *one, const file *other) {
    const size_t from = (size_t)any(other->bytes), to = any_place(one);
    size_t length = (size_t)any(64) + 1;
    if (length > other->bytes - from) length = other->bytes - from;
    if (length > one->bytes - to) length = one->bytes - to;
    memcpy(one->data + to, other->data + from, length);
}

static void cut_out(file *one) {
    const size_t from = any_place(one);
    size_t length = (size_t)any(32) + 1;
    if (length > one->bytes - from) length = one->bytes - from;
    memmove(one->data + from, one->data + from + length, one->bytes - from - length);
    one->bytes -= length;
}

static void double_part(file *one) {
    const size_t from = any_place(one);
    size_t length = (size_t)any(256) + 1;
    if (length > one->bytes - from) length = one->bytes - from;
    memmove(one->data + from + length, one->data + from, one->bytes - from);
    one->bytes += length;
}

static void break_somewhere(file *one, const file *other) {
    static const uint8_t telling[] = {0, 1, 2, 4, 0x11, 0x22, 0x7F, 0x80, 0xC0, 0xC2, 0xC4, 0xD9, 0xDA, 0xDB, 0xFE, 0xFF};
    if (!one->bytes) return;
    switch (any(7)) {
        case 0:
            one->data[any_place(one)] ^= (uint8_t)(1U << any(8));
            break;
        case 1:
            one->data[any_place(one)] = (uint8_t)any(256);
            break;
        case 2:
            one->data[any_place(one)] = telling[any(sizeof telling)];
            break;
        case 3:
            copy_part(one, other);
            break;
        case 4:
            cut_out(one);
            break;
        case 5:
            double_part(one);
            break;
        default:
            if (!any(8)) one->bytes = (size_t)any(one->bytes + 1);
    }
}

static int read_file(const char *path, file *into) {
    FILE *from = fopen(path, "rb");
    if (!from) return 0;
    into->data = malloc(MOST_BYTES);
    into->bytes = into->data ? fread(into->data, 1, MOST_BYTES / 2, from) : 0;
    fclose(from);
    return into->bytes > 0;
}

static void remember(const file *one) {
    FILE *to = fopen("last.jpg", "wb");
    if (!to) return;
    fwrite(one->data, 1, one->bytes, to);
    fclose(to);
}

static file last;
void __asan_set_death_callback(void (*callback)(void)) __attribute__((weak));
static void remember_last(void) { remember(&last); }

int main(int count, char **arguments) {
    static file files[4096];
    size_t found = 0, fates[4] = {0};
    if (count < 4) return 2;
    seed(arguments[1]);
    const size_t executions = strtoull(arguments[2], NULL, 10);
    for (int at = 3; at < count && found < 4096; at++) found += (size_t)read_file(arguments[at], &files[found]);
    last.data = malloc(MOST_BYTES);
    if (!found || !last.data) return 2;
    if (__asan_set_death_callback) __asan_set_death_callback(remember_last);
    for (size_t done = 0; done < executions; done++) {
        const file *from = &files[any(found)];
        memcpy(last.data, from->data, from->bytes);
        last.bytes = from->bytes;
        for (uint64_t times = any(6); times; times--) break_somewhere(&last, &files[any(found)]);
        /* a block of exactly its size, so that reading past its end is seen */
        uint8_t *data = malloc(last.bytes ? last.bytes : 1);
        if (!data) return 2;
        memcpy(data, last.data, last.bytes);
        fates[run(data, last.bytes)]++;
        free(data);
    }
    printf("%zu executions: %zu made, %zu declined, %zu broken, %zu without memory\n", executions, fates[REQUANT_MADE],
           fates[REQUANT_DECLINED], fates[REQUANT_BROKEN], fates[REQUANT_NO_MEMORY]);
    for (size_t at = 0; at < found; at++) free(files[at].data);
    free(last.data);
    return 0;
}
#endif
