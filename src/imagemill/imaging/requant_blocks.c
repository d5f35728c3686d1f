/* Chooses each block's new coefficients, and turns or merges blocks where the output wants that.
 *
 * Distances are kept in 1/32 of the new step (`scaled`), so that 16 bits hold every coefficient and eight are worked on
 * at once. A coefficient's fate is a trade of distortion against bits, block by block: see `best_path`.
 */
#include <stdlib.h>
#include <string.h>

#include "requant_lanes.h"
#include "requant_parts.h"

#define FRACTION 5 /* bits behind the point of `scaled` */
#define ONE (1 << FRACTION)
#define COEFFICIENT_MOST 1023 /* ITU T.81, F.1.2.2: ten bits for 8-bit samples; broken files have more */
#define LEAST (ONE / 2)       /* below half a step nothing is worth its bits */
#define ROUND (ONE / 2 - 1)   /* exact halves are rounded down: old steps of half the new make them common */

/* The trade, tuned on product photos, a shop's pictures and large photographs: bytes at equal similarity. */
#define THRIFT 0.065F   /* distortion that a bit must save, in products of the two steps next to the DC's */
#define CALM 8000       /* the energy of a block in which it must save twice as much */
#define BUSY_MOST 6     /* times as much, at most */
#define ENERGY_ROOT 255 /* one coefficient of this size makes a block so busy */
#define LIVELY 3        /* what a unit of energy kept is worth in distortion, in 1/25 */

/* Costs are whole numbers, and no float is added to another, so that every machine chooses alike: bits in 1/64, and
 * below them, where they do not count, which coefficient is meant. So the least of some costs says whose it is. */
#define MARK 64
#define BIT (64 * MARK)
#define END_COST (4 * BIT)    /* an end of block's code; it is marked 0 */
#define WORTH (3 * BIT)       /* a coefficient that gains less is not looked at: no code is shorter */
#define GAIN_MOST (255 * BIT) /* all codes are shorter */
#define NO_COST (1 << 30)

const uint8_t requant_natural[BLOCK] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

static const uint8_t zigzag[BLOCK] = {
    0,  1,  5,  6,  14, 15, 27, 28, 2,  4,  7,  13, 16, 26, 29, 42, 3,  8,  12, 17, 25, 30,
    41, 43, 9,  11, 18, 24, 31, 40, 44, 53, 10, 19, 23, 32, 39, 45, 52, 54, 20, 22, 33, 38,
    46, 51, 55, 60, 21, 34, 37, 47, 50, 56, 59, 61, 35, 36, 48, 49, 57, 58, 62, 63};

/* Lengths of ITU T.81's luminance AC codes (table K.5), which the trade reckons with: row by run, column by size. */
static const uint8_t code_bits[16][11] = {
    {4, 2, 2, 3, 4, 5, 7, 8, 10, 16, 16},      {0, 4, 5, 7, 9, 11, 16, 16, 16, 16, 16},
    {0, 5, 8, 10, 12, 16, 16, 16, 16, 16, 16}, {0, 6, 9, 12, 16, 16, 16, 16, 16, 16, 16},
    {0, 6, 10, 16, 16, 16, 16, 16, 16, 16, 16}, {0, 7, 11, 16, 16, 16, 16, 16, 16, 16, 16},
    {0, 7, 12, 16, 16, 16, 16, 16, 16, 16, 16}, {0, 8, 12, 16, 16, 16, 16, 16, 16, 16, 16},
    {0, 9, 15, 16, 16, 16, 16, 16, 16, 16, 16}, {0, 9, 16, 16, 16, 16, 16, 16, 16, 16, 16},
    {0, 9, 16, 16, 16, 16, 16, 16, 16, 16, 16}, {0, 10, 16, 16, 16, 16, 16, 16, 16, 16, 16},
    {0, 10, 16, 16, 16, 16, 16, 16, 16, 16, 16}, {0, 11, 16, 16, 16, 16, 16, 16, 16, 16, 16},
    {0, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16}, {11, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16}};

/* One block's coefficients that may stay, by their place in the zigzag. */
typedef struct {
    uint64_t which;      /* the zigzag's last is the lowest bit */
    int32_t gain[BLOCK]; /* how many bits each is worth, as a cost */
    token made[BLOCK];   /* without the zeros before it */
    uint8_t next[BLOCK]; /* the kept one behind it; 0: none */
} candidates;

/* Scale a block to the new steps and say which coefficients come out large enough to be considered. `energy` is theirs,
 * of each at most what makes a block as busy as it gets. */
static uint64_t scale(const plane *one, const int16_t *in, uint16_t *scaled, int *energy) {
    uint64_t found = 0;
    lane_sums sums = lanes_no_sums();
    for (int at = 0; at < BLOCK; at += 8) {
        const lanes value = lanes_size(in + at);
        const lanes large = lanes_measure(value, one->ratio + at, scaled + at, COEFFICIENT_MOST, LEAST);
        found |= (uint64_t)lanes_which(large) << at;
        sums = lanes_square(sums, value, large, one->energy_most + at, one->energy_step + at);
    }
    *energy = lanes_sum(sums);
    return found & ~(uint64_t)1;
}

static inline int32_t lesser(int32_t one, int32_t other) { return one < other ? one : other; }

/* ITU T.81, F.1.2.1: a negative value is written as the low bits of itself less one. */
static inline token token_of(int value, int size) {
    return (token)size << 16 | ((token)(value + (value >> 31)) & ((1U << size) - 1));
}

/* List the candidates. What one gains is value² - (value - kept)², the distance it saves, and more: similarity forgives
 * noise sooner than it forgives flatness, hence LIVELY. No branch depends on a gain, here or below: few are foreseen. */
static void weigh(const plane *one, const int16_t *in, uint64_t found, const uint16_t *scaled, float per_bit,
                  candidates *all) {
    uint64_t which = 0;
    for (; found; found &= found - 1) {
        const int natural = lowest_bit(found), at = zigzag[natural], sign = in[natural] >> 15;
        const int value = scaled[natural], rounded = (value + ROUND) >> FRACTION, level = rounded + !rounded;
        const int gain = level * (2 * 25 * value - (25 - LIVELY) * ONE * level);
        const float cost = (float)gain * one->weight[natural] * per_bit;
        const int32_t whole = cost < GAIN_MOST ? (int32_t)cost : GAIN_MOST;
        all->made[at] = token_of((level ^ sign) - sign, bit_length((unsigned)level));
        all->gain[at] = whole & -MARK;
        which |= (uint64_t)(whole >= WORTH) << (BLOCK - 1 - at);
    }
    all->which = which;
}

/* Keep the coefficients that make distortion + price × bits least: a shortest path over the candidates, from the last, as
 * each one's code depends on how many zeros lie before it. One is followed by one of the next two, or by none: looking
 * further saves 0.04 % of the bytes. Return the first one kept; `next` leads to the last. */
static int best_path(const int32_t (*bits)[BLOCK], candidates *all) {
    int32_t one = NO_COST, two = NO_COST;
    const int32_t *to_one = bits[0] + BLOCK - 1, *to_two = to_one;
    for (uint64_t which = all->which; which; which &= which - 1) {
        const int at = BLOCK - 1 - lowest_bit(which);
        const int32_t least = lesser(one + to_one[-at], lesser(END_COST, two + to_two[-at]));
        all->next[at] = (uint8_t)(least & (MARK - 1));
        two = one;
        to_two = to_one;
        one = (least & -MARK) + (at - all->gain[at]);
        to_one = bits[all->made[at] >> 16] + at - 1;
    }
    return lesser(one + *to_one, lesser(END_COST, two + *to_two)) & (MARK - 1);
}

static inline token *put_token(token *to, uint32_t *seen, token made) {
    seen[made >> 16]++;
    *to = made;
    return to + 1;
}

static inline token *put_coefficient(token *to, uint32_t *seen, int run, token made) {
    for (; run > 15; run -= 16) to = put_token(to, seen, 0xF0 << 16);
    return put_token(to, seen, (token)run << 20 | made);
}

/* Write the path down; return where the last coefficient lies. */
static int put_path(token_list *out, uint32_t *seen, const candidates *all, int first) {
    token *to = out->at + out->count;
    int before = 0;
    for (int at = first; at; at = all->next[at]) {
        to = put_coefficient(to, seen, at - before - 1, all->made[at]);
        before = at;
    }
    out->count = (size_t)(to - out->at);
    return before;
}

/* As above. */
static int put_exactly(token_list *out, uint32_t *seen, const int16_t *in) {
    token *to = out->at + out->count;
    int before = 0;
    for (int at = 1; at < BLOCK; at++) {
        int value = in[requant_natural[at]];
        if (!value) continue;
        value = value > COEFFICIENT_MOST ? COEFFICIENT_MOST : value < -COEFFICIENT_MOST ? -COEFFICIENT_MOST : value;
        to = put_coefficient(to, seen, at - before - 1, token_of(value, bit_length((unsigned)abs(value))));
        before = at;
    }
    out->count = (size_t)(to - out->at);
    return before;
}

static int put_thriftily(token_list *out, uint32_t *seen, const plane *one, const int16_t *in) {
    uint16_t scaled[BLOCK];
    int energy;
    const uint64_t found = scale(one, in, scaled, &energy);
    if (!found) return 0;
    candidates all;
    /* Noise hides in texture: what similarity loses to an error falls with the block's own variance. */
    const int busy = CALM + lesser(energy, CALM * (BUSY_MOST - 1));
    weigh(one, in, found, scaled, 1 / (float)busy, &all);
    return put_path(out, seen, &all, best_path(one->bits, &all));
}

static int16_t dc_of(const plane *one, int value) {
    const int step = one->step[0], most = 1023;
    const int whole = abs(value) * one->dc_step;
    int level = (whole + step / 2) / step;
    if (level > most) level = most;
    return (int16_t)(value < 0 ? -level : level);
}

static void put_block(picture *image, int number, block *made, const int16_t *in) {
    plane *one = &image->plane[number];
    token_list *out = &image->tokens;
    made->first = (uint32_t)out->count;
    made->dc = dc_of(one, in[0]);
    const int last = one->is_exact ? put_exactly(out, out->seen[number], in)
                                   : put_thriftily(out, out->seen[number], one, in);
    made->tokens = (uint8_t)(out->count - made->first);
    made->is_ended = last != BLOCK - 1;
}

/* Where blocks come from */

static void turn_block(const turn *how, const int16_t *in, int16_t *out) {
    for (int at = 0; at < BLOCK; at++) out[at] = (int16_t)(in[how->from[at]] * how->sign[at]);
}

/* The block at x, y of the turned source; `room` is used where it must be computed. */
static const int16_t *source_block(const plane *one, int x, int y, int16_t *room) {
    const turn *how = one->turn;
    if (!how) return one->rows[y][x];
    if (how->flips_x) x = one->in_across - 1 - x;
    if (how->flips_y) y = one->in_down - 1 - y;
    turn_block(how, how->is_transposed ? one->rows[x][y] : one->rows[y][x], room);
    return room;
}

/* One dimension of two blocks becoming one: inverse 4-point transforms of both blocks' low halves, then an 8-point
 * transform of the eight samples, as one matrix. Its even rows are half the identity, its odd rows these, in 1/65536;
 * the right block's part is the left one's with alternating signs. */
static const int16_t merge_odd[4][4] = {
    {29692, 13623, -2446, 750},
    {-10426, 25922, 16819, -3196},
    {6967, -11549, 25172, 16069},
    {-5906, 9102, -12299, 28368}};

#define MERGE_SHIFT 3 /* lines hold eighths, as far as 16 bits have room for that */

/* Merge line j of the first block (0 to 3) with line j of the second (4 to 7), each line one lane a column. */
static inline void merge(const lanes *in, lanes *out) {
    lanes odd[4];
    for (int j = 0; j < 4; j++) {
        const lanes sum = lanes_add(in[j], in[j + 4]), difference = lanes_subtract(in[j], in[j + 4]);
        out[2 * j] = lanes_shift(j & 1 ? difference : sum, 1);
        odd[j] = j & 1 ? sum : difference;
    }
    for (int k = 0; k < 4; k++) {
        const lanes a = lanes_scale(odd[0], merge_odd[k][0]), b = lanes_scale(odd[1], merge_odd[k][1]);
        const lanes c = lanes_scale(odd[2], merge_odd[k][2]), d = lanes_scale(odd[3], merge_odd[k][3]);
        const lanes half = lanes_all(2); /* each product is half a unit too low */
        out[2 * k + 1] = lanes_add(lanes_add(lanes_add(a, b), lanes_add(c, d)), half);
    }
}

/* Interleaving lines that are four apart, three times over, is a transposition. */
static inline void transpose(lanes *all) {
    lanes other[8];
    for (int step = 0; step < 3; step++) {
        for (int j = 0; j < 4; j++) lanes_interleave(all[j], all[j + 4], &other[2 * j], &other[2 * j + 1]);
        memcpy(all, other, sizeof other);
    }
}

static inline void merge_lines(lanes *all, int is_x, int is_y, int16_t *out) {
    lanes merged[8];
    if (is_y) {
        merge(all, merged);
        memcpy(all, merged, sizeof merged);
    }
    if (is_x) {
        transpose(all);
        merge(all, merged);
        memcpy(all, merged, sizeof merged);
        transpose(all);
    }
    for (int j = 0; j < 8; j++)
        lanes_store(out + 8 * j, lanes_shift(lanes_add(all[j], lanes_all(1 << (MERGE_SHIFT - 1))), MERGE_SHIFT));
}

/* The usual case: both sides, all four blocks there. */
static void merge_four(const plane *one, const int16_t *const in[4], int16_t *out) {
    lanes all[8];
    for (int j = 0; j < 4; j++) {
        const lanes step = lanes_join(one->merge_step + 8 * j, one->merge_step + 8 * j);
        all[j] = lanes_multiply(lanes_join(in[0] + 8 * j, in[1] + 8 * j), step);
        all[4 + j] = lanes_multiply(lanes_join(in[2] + 8 * j, in[3] + 8 * j), step);
    }
    merge_lines(all, 1, 1, out);
}

/* Take the corner of a block that survives, to square (x, y) of 4 × 4. */
static void gather(const plane *one, const int16_t *in, int16_t (*out)[8], int x, int y) {
    const int high = one->halves_y ? 4 : 8, wide = one->halves_x ? 4 : 8;
    for (int j = 0; j < high; j++)
        for (int i = 0; i < wide; i++)
            out[y * 4 + j][x * 4 + i] = (int16_t)(in[j * 8 + i] * one->merge_step[j * 8 + i]);
}

static void mirror(int16_t (*all)[8], int is_x, int is_y) {
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 8; i++) {
            if (is_y) all[4 + j][i] = (int16_t)(j & 1 ? -all[j][i] : all[j][i]);
            if (is_x) all[i][4 + j] = (int16_t)(j & 1 ? -all[i][j] : all[i][j]);
        }
}

/* One side only, or at the edge, past which the picture is continued by its mirror image. */
static void merge_some(const plane *one, const int16_t *const in[4], int16_t *out) {
    int16_t gathered[8][8] = {{0}};
    lanes all[8];
    for (int at = 0; at < 4; at++)
        if (in[at]) gather(one, in[at], gathered, at & 1, at >> 1);
    mirror(gathered, one->halves_x && !in[1], 0);
    mirror(gathered, 0, one->halves_y && !in[2]);
    for (int j = 0; j < 8; j++) all[j] = lanes_load(gathered[j]);
    merge_lines(all, one->halves_x, one->halves_y, out);
}

/* Merge up to four blocks of a plane into one of half the resolution, in steps of 1. */
static void merged_block(const plane *one, int x, int y, int16_t *out) {
    int16_t room[4][BLOCK];
    const int16_t *in[4] = {NULL};
    int found = 0;
    for (int at = 0; at < 4; at++) {
        const int is_right = at & 1, is_low = at >> 1;
        const int from_x = (one->halves_x ? 2 * x : x) + is_right, from_y = (one->halves_y ? 2 * y : y) + is_low;
        if ((is_right && !one->halves_x) || (is_low && !one->halves_y)) continue;
        if (from_x >= one->in_across || from_y >= one->in_down) continue;
        in[at] = source_block(one, from_x, from_y, room[at]);
        found++;
    }
    if (found == 4)
        merge_four(one, in, out);
    else
        merge_some(one, in, out);
}

static int make_room(token_list *out) {
    if (out->room - out->count >= TOKENS_A_BLOCK) return 1;
    const size_t room = out->room + out->room / 2 + 64 * (size_t)TOKENS_A_BLOCK;
    token *grown = realloc(out->at, room * sizeof(token));
    if (!grown) return 0;
    out->at = grown;
    out->room = room;
    return 1;
}

int requant_choose(picture *image, int number, int from, int until) {
    plane *one = &image->plane[number];
    const int is_merged = one->halves_x || one->halves_y;
    int16_t made[BLOCK], room[BLOCK];
    for (int y = from; y < until && y < one->down; y++)
        for (int x = 0; x < one->across; x++) {
            const int16_t *in = made;
            if (!make_room(&image->tokens)) return 0;
            if (is_merged)
                merged_block(one, x, y, made);
            else
                in = source_block(one, x, y, room);
            put_block(image, number, &one->blocks[(size_t)y * (size_t)one->across + (size_t)x], in);
        }
    return 1;
}

void requant_prepare(plane *one, double thrift) {
    const int is_merged = one->halves_x || one->halves_y;
    one->dc_step = is_merged ? 1 : one->old_step[0];
    one->is_exact = !is_merged && !memcmp(one->step, one->old_step, sizeof one->step);
    const float least = 1e-4F; /* it is divided by */
    const float wanted = (float)thrift * THRIFT * (float)(one->step[1] * one->step[8]);
    const float price = wanted > least ? wanted : least;
    for (int at = 0; at < BLOCK; at++) {
        const uint32_t old = is_merged ? 1 : one->old_step[at], step = one->step[at];
        const uint32_t ratio = (old << 16) / step;
        one->ratio[at] = (uint16_t)(ratio > 0xFFFF ? 0xFFFF : ratio);
        one->merge_step[at] = (int16_t)(one->old_step[at] << MERGE_SHIFT);
        one->weight[at] = (float)(step * step) * (CALM * (float)BIT / (25 * ONE)) / price;
        one->energy_step[at] = (int16_t)old;
        one->energy_most[at] = (int16_t)(at ? ENERGY_ROOT / old + 1 : 0);
    }
    for (int size = 0; size < 11; size++)
        for (int run = 0; run < BLOCK; run++)
            one->bits[size][run] = (code_bits[run & 15][size] + size + (run >> 4) * code_bits[15][0]) * BIT;
}
