/* Writes the file: Huffman tables made for this image, sequential or progressive.
 *
 * Progressive here is spectral selection alone, one scan for all DC and one a component for the rest (ITU T.81, G.1.1.1).
 * It costs no more than sequential, and saves where blocks are empty: a run of 32,767 of them is one code, and each
 * component has its own table. Which of both is smaller is counted before a bit is written.
 */
#include <stdlib.h>
#include <string.h>

#include "requant_parts.h"

#define SYMBOLS 256
#define RESERVED 256    /* the code of all ones, which ITU T.81, annex C, leaves unused */
#define LONGEST 16
#define RUN_MOST 32767  /* of ended blocks, G.1.2.2 */
#define PROGRESSIVE_GAIN 0.99 /* decoders need more memory for it, so it must save one per cent */
#define HEADER_BYTES 4096 /* more than all headers and tables together: 623 + 8 × 277 and small change */

typedef struct {
    uint32_t seen[SYMBOLS];
    uint8_t count[LONGEST + 1]; /* codes of each length */
    uint8_t symbols[SYMBOLS];   /* by length */
    int total;
    uint16_t code[SYMBOLS];
    uint8_t length[SYMBOLS];
} table;

typedef struct {
    uint8_t *at;
    uint64_t bits; /* the low `held` are to be written */
    int held;
} sink;

typedef struct {
    table dc[2], ac[2];          /* luma, chroma; AC for sequential */
    table band[MAX_PLANES];      /* AC for progressive */
    uint64_t sequential, progressive; /* bits */
} coding;

/* Which block comes when, ITU T.81, A.2.3: `take` is called with NULL for one that only fills up the last MCU. */
typedef struct visitor visitor;
struct visitor {
    void (*take)(visitor *who, picture *image, int number, block *one);
    coding *how;
    sink *to;
    int dc[MAX_PLANES];
};

static inline void visit_unit(picture *image, visitor *who, int unit_x, int unit_y) {
    for (int number = 0; number < image->planes; number++) {
        const plane *one = &image->plane[number];
        for (int y = unit_y * one->v; y < (unit_y + 1) * one->v; y++)
            for (int x = unit_x * one->h; x < (unit_x + 1) * one->h; x++) {
                const int is_picture = x < one->across && y < one->down;
                who->take(who, image, number, is_picture ? &one->blocks[y * one->across + x] : NULL);
            }
    }
}

static void visit_in_units(picture *image, visitor *who) {
    const int across = (image->width + 8 * image->h_most - 1) / (8 * image->h_most);
    const int down = (image->height + 8 * image->v_most - 1) / (8 * image->v_most);
    for (int y = 0; y < down; y++)
        for (int x = 0; x < across; x++) visit_unit(image, who, x, y);
}

/* Huffman tables */

static void sort(uint64_t *keys, int count) {
    for (int at = 1; at < count; at++) {
        const uint64_t key = keys[at];
        int to = at;
        for (; to && keys[to - 1] > key; to--) keys[to] = keys[to - 1];
        keys[to] = key;
    }
}

/* Code lengths from ascending weights, in place (Moffat and Katajainen 1995): parents, then depths, then lengths. */
static void measure_codes(uint64_t *weights, int count) {
    int leaf = 0, root = 0;
    for (int next = 0; next < count - 1; next++) {
        uint64_t sum = 0;
        for (int child = 0; child < 2; child++) {
            if (leaf >= count || (root < next && weights[root] < weights[leaf])) {
                sum += weights[root];
                weights[root++] = (uint64_t)next;
            } else {
                sum += weights[leaf++];
            }
        }
        weights[next] = sum;
    }
    weights[count - 2] = 0;
    for (int next = count - 3; next >= 0; next--) weights[next] = weights[weights[next]] + 1;
    int available = 1, used = 0, depth = 0, next = count - 1;
    for (root = count - 2; available > 0; depth++) {
        for (; root >= 0 && weights[root] == (uint64_t)depth; root--) used++;
        for (; available > used; available--) weights[next--] = (uint64_t)depth;
        available = 2 * used;
        used = 0;
    }
}

/* ITU T.81, K.3: no code is longer than 16, and the longest, which is all ones, is given up. */
static void limit_lengths(uint32_t *count, int longest) {
    for (int at = longest; at > LONGEST; at--)
        while (count[at]) {
            int shorter = at - 2;
            while (!count[shorter]) shorter--;
            count[at] -= 2;
            count[at - 1]++;
            count[shorter + 1] += 2;
            count[shorter]--;
        }
    int last = LONGEST;
    while (!count[last]) last--;
    count[last]--;
}

static void assign_codes(table *one) {
    unsigned code = 0;
    int at = 0;
    for (int length = 1; length <= LONGEST; length++, code <<= 1)
        for (int i = 0; i < one->count[length]; i++, at++, code++) {
            one->code[one->symbols[at]] = (uint16_t)code;
            one->length[one->symbols[at]] = (uint8_t)length;
        }
}

static void build(table *one) {
    uint64_t keys[SYMBOLS + 1], weights[SYMBOLS + 1];
    uint32_t count[SYMBOLS + 1] = {0};
    int total = 0;
    keys[total++] = RESERVED; /* weight nought: it gets the longest code */
    for (int symbol = 0; symbol < SYMBOLS; symbol++)
        if (one->seen[symbol]) keys[total++] = (uint64_t)one->seen[symbol] << 9 | (uint64_t)(SYMBOLS - 1 - symbol);
    if (total == 1) keys[total++] = 1 << 9 | (SYMBOLS - 1); /* an empty table: one symbol that is never written */
    sort(keys, total);
    for (int at = 0; at < total; at++) weights[at] = keys[at] >> 9;
    measure_codes(weights, total);
    for (int at = 0; at < total; at++) count[weights[at]]++;
    limit_lengths(count, (int)weights[0]);
    for (int length = 1; length <= LONGEST; length++) one->count[length] = (uint8_t)count[length];
    one->total = total - 1;
    for (int at = 0; at < one->total; at++) one->symbols[at] = (uint8_t)(SYMBOLS - 1 - (keys[total - 1 - at] & 0x1FF));
    assign_codes(one);
}

/* Extra bits: a coefficient's are its symbol's low half; an end-of-band's, whose low half is 0, the high one's. */
static uint64_t bits_of(const table *one, int is_band) {
    uint64_t sum = 0;
    for (int symbol = 0; symbol < SYMBOLS; symbol++) {
        const int extra = symbol & 15 ? symbol & 15 : is_band && symbol != 0xF0 ? symbol >> 4 : 0;
        sum += (uint64_t)one->seen[symbol] * (uint64_t)(one->length[symbol] + extra);
    }
    return sum;
}

/* Counting */

static int difference(visitor *who, int number, const block *one) {
    const int before = who->dc[number];
    if (one) who->dc[number] = one->dc;
    return who->dc[number] - before;
}

static void count_block(visitor *who, picture *image, int number, block *one) {
    (void)image;
    who->how->dc[number > 0].seen[bit_length((unsigned)abs(difference(who, number, one)))]++;
    if (!one || one->is_ended) who->how->ac[number > 0].seen[0]++;
}

static void count_bands(const picture *image, int number, uint32_t *seen) {
    const plane *one = &image->plane[number];
    const size_t blocks = (size_t)one->across * (size_t)one->down;
    unsigned run = 0;
    for (size_t at = 0; at < blocks; at++) {
        if (run && (one->blocks[at].tokens || run == RUN_MOST)) {
            seen[(bit_length(run) - 1) << 4]++;
            run = 0;
        }
        run += one->blocks[at].is_ended;
    }
    if (run) seen[(bit_length(run) - 1) << 4]++;
}

static void count_all(picture *image, coding *how) {
    visitor counting = {count_block, how, NULL, {0}};
    visit_in_units(image, &counting);
    for (int number = 0; number < image->planes; number++) {
        memcpy(how->band[number].seen, image->tokens.seen[number], sizeof how->band[number].seen);
        count_bands(image, number, how->band[number].seen);
        build(&how->band[number]);
        how->progressive += bits_of(&how->band[number], 1);
        for (int symbol = 0; symbol < SYMBOLS; symbol++)
            how->ac[number > 0].seen[symbol] += image->tokens.seen[number][symbol];
    }
    for (int kind = 0; kind < (image->planes > 1 ? 2 : 1); kind++) {
        build(&how->dc[kind]);
        build(&how->ac[kind]);
        how->sequential += bits_of(&how->dc[kind], 0) + bits_of(&how->ac[kind], 0);
        how->progressive += bits_of(&how->dc[kind], 0);
    }
}

/* Writing bits */

static void put_byte(sink *to, unsigned value) { *to->at++ = (uint8_t)value; }

static void put_entropy_byte(sink *to, unsigned value) {
    put_byte(to, value & 0xFF);
    if ((value & 0xFF) == 0xFF) put_byte(to, 0); /* or it would read as a marker: B.1.1.5 */
}

static inline void put(sink *to, unsigned code, int length) {
    to->bits = to->bits << length | code;
    to->held += length;
    if (to->held < 32) return;
    to->held -= 32;
    const uint32_t four = (uint32_t)(to->bits >> to->held), inverse = ~four;
    if ((inverse - 0x01010101U) & ~inverse & 0x80808080U) { /* some byte is 0xFF */
        for (int shift = 24; shift >= 0; shift -= 8) put_entropy_byte(to, four >> shift);
        return;
    }
    for (int shift = 24; shift >= 0; shift -= 8) put_byte(to, four >> shift);
}

static void finish_bits(sink *to) {
    if (to->held & 7) put(to, (1U << (8 - (to->held & 7))) - 1, 8 - (to->held & 7));
    for (; to->held; to->held -= 8) put_entropy_byte(to, (unsigned)(to->bits >> (to->held - 8)));
}

static inline void put_symbol(sink *to, const table *one, unsigned symbol, unsigned bits, int extra) {
    put(to, (unsigned)one->code[symbol] << extra | bits, one->length[symbol] + extra);
}

static void put_tokens(sink *to, const table *with, const token *at, int count) {
    for (; count; count--, at++) put_symbol(to, with, *at >> 16, *at & 0xFFFF, (int)(*at >> 16 & 15));
}

static void put_dc(visitor *who, picture *image, int number, block *one) {
    (void)image;
    const int value = difference(who, number, one), size = bit_length((unsigned)abs(value));
    const unsigned bits = (unsigned)(value < 0 ? value - 1 : value) & ((1U << size) - 1);
    put_symbol(who->to, &who->how->dc[number > 0], (unsigned)size, bits, size);
}

static void put_whole(visitor *who, picture *image, int number, block *one) {
    const table *with = &who->how->ac[number > 0];
    put_dc(who, image, number, one);
    if (one) put_tokens(who->to, with, image->tokens.at + one->first, one->tokens);
    if (!one || one->is_ended) put_symbol(who->to, with, 0, 0, 0);
}

static void put_run(sink *to, const table *with, unsigned run) {
    const int size = bit_length(run) - 1;
    put_symbol(to, with, (unsigned)size << 4, run - (1U << size), size);
}

static void put_band(sink *to, const picture *image, int number, const table *with) {
    const plane *one = &image->plane[number];
    const size_t blocks = (size_t)one->across * (size_t)one->down;
    unsigned run = 0;
    for (size_t at = 0; at < blocks; at++) {
        const block *here = &one->blocks[at];
        if (run && (here->tokens || run == RUN_MOST)) {
            put_run(to, with, run);
            run = 0;
        }
        put_tokens(to, with, image->tokens.at + here->first, here->tokens);
        run += here->is_ended;
    }
    if (run) put_run(to, with, run);
}

/* Headers, ITU T.81, annex B */

static void put_two(sink *to, unsigned value) {
    put_byte(to, value >> 8);
    put_byte(to, value);
}

static void put_start(sink *to, const picture *image, const requant_order *order) {
    static const uint8_t jfif[] = {0xFF, 0xD8, 0xFF, 0xE0, 0, 16, 'J', 'F', 'I', 'F', 0, 1, 1};
    memcpy(to->at, jfif, sizeof jfif);
    to->at += sizeof jfif;
    put_byte(to, (unsigned)image->density_unit);
    put_two(to, (unsigned)image->density_x);
    put_two(to, (unsigned)image->density_y);
    put_two(to, 0); /* no thumbnail */
    if (order->segments_bytes) memcpy(to->at, order->segments, order->segments_bytes);
    to->at += order->segments_bytes;
}

/* The number of the quantisation table that a component uses: its own only if an earlier one's differs. */
static int steps_of(const picture *image, int number) {
    for (int before = 0; before < number; before++)
        if (!memcmp(image->plane[before].step, image->plane[number].step, sizeof image->plane[0].step)) return before;
    return number;
}

static void put_steps(sink *to, const picture *image) {
    for (int number = 0; number < image->planes; number++) {
        if (steps_of(image, number) != number) continue;
        put_two(to, 0xFFDB);
        put_two(to, 67);
        put_byte(to, (unsigned)number);
        for (int at = 0; at < BLOCK; at++) put_byte(to, image->plane[number].step[requant_natural[at]]);
    }
}

static void put_frame(sink *to, const picture *image, int is_progressive) {
    put_two(to, is_progressive ? 0xFFC2 : 0xFFC0);
    put_two(to, 8 + 3 * (unsigned)image->planes);
    put_byte(to, 8);
    put_two(to, (unsigned)image->height);
    put_two(to, (unsigned)image->width);
    put_byte(to, (unsigned)image->planes);
    for (int number = 0; number < image->planes; number++) {
        put_byte(to, (unsigned)number + 1);
        put_byte(to, (unsigned)(image->plane[number].h << 4 | image->plane[number].v));
        put_byte(to, (unsigned)steps_of(image, number));
    }
}

static void put_table(sink *to, const table *one, unsigned class_and_number) {
    put_two(to, 0xFFC4);
    put_two(to, 19 + (unsigned)one->total);
    put_byte(to, class_and_number);
    memcpy(to->at, one->count + 1, LONGEST);
    to->at += LONGEST;
    memcpy(to->at, one->symbols, (size_t)one->total);
    to->at += one->total;
}

/* A scan of components first to last over a spectral band; the tables are numbered 0 for luma, 1 for chroma. */
static void put_scan(sink *to, int first, int last, int from, int until) {
    put_two(to, 0xFFDA);
    put_two(to, 6 + 2 * (unsigned)(last - first + 1));
    put_byte(to, (unsigned)(last - first + 1));
    for (int number = first; number <= last; number++) {
        put_byte(to, (unsigned)number + 1);
        put_byte(to, number > 0 ? 0x11 : 0);
    }
    put_byte(to, (unsigned)from);
    put_byte(to, (unsigned)until);
    put_byte(to, 0);
}

static void put_units(sink *to, picture *image, coding *how, int is_dc) {
    visitor writing = {is_dc ? put_dc : put_whole, how, to, {0}};
    put_scan(to, 0, image->planes - 1, 0, is_dc ? 0 : 63);
    visit_in_units(image, &writing);
    finish_bits(to);
}

static void put_file(sink *to, picture *image, coding *how, const requant_order *order, int is_progressive) {
    const unsigned kinds = image->planes > 1 ? 2 : 1;
    put_start(to, image, order);
    put_steps(to, image);
    put_frame(to, image, is_progressive);
    for (unsigned kind = 0; kind < kinds; kind++) {
        put_table(to, &how->dc[kind], kind);
        if (!is_progressive) put_table(to, &how->ac[kind], 0x10 | kind);
    }
    put_units(to, image, how, is_progressive);
    for (int number = 0; is_progressive && number < image->planes; number++) {
        put_table(to, &how->band[number], 0x10 | (number > 0));
        put_scan(to, number, number, 1, 63);
        put_band(to, image, number, &how->band[number]);
        finish_bits(to);
    }
    put_two(to, 0xFFD9);
}

int requant_write(picture *image, const requant_order *order, requant_result *result) {
    coding *how = calloc(1, sizeof *how);
    if (!how) return 0;
    count_all(image, how);
    int is_progressive = order->progressive;
    if (is_progressive < 0) is_progressive = (double)how->progressive < (double)how->sequential * PROGRESSIVE_GAIN;
    const uint64_t bits = is_progressive ? how->progressive : how->sequential;
    /* Each byte of it may need a zero behind it. */
    const size_t most = (size_t)(bits / 8 + 16) * 2 + HEADER_BYTES + order->segments_bytes;
    result->data = malloc(most);
    if (result->data) {
        sink to = {result->data, 0, 0};
        put_file(&to, image, how, order, is_progressive);
        result->bytes = (size_t)(to.at - result->data);
    }
    free(how);
    return result->data != NULL;
}
