/* Reads the coefficients of a usual JPEG, and has them chosen while they are in the cache.
 *
 * libjpeg has read the headers up to the first scan. Whatever is unusual or broken from there on makes this give up, and
 * libjpeg begins anew: it knows more kinds, and says what is wrong. So nothing may be accepted here that libjpeg warns of.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "requant_read.h"

#define UNITS_MOST 10 /* blocks in an MCU, ITU T.81, B.2.3 */
#define LOW_MOST 13   /* libjpeg's bound on the bits that come later */

/* Scans */

static void begin_interval(decoder *all) {
    for (int at = 0; at < all->count; at++) all->now[at]->before = 0;
    all->ended = 0;
    all->left = all->interval;
    all->in.bits = 0;
    all->in.held = all->in.lent = 0;
}

static int restart(decoder *all) {
    reader *in = &all->in;
    const unsigned expected = 0xD0 | ((unsigned)all->restarts++ & 7U);
    if (!is_spent(in) || in->end - in->at < 2 || in->at[0] != 0xFF || in->at[1] != expected) return 0;
    in->at += 2;
    begin_interval(all);
    return 1;
}

/* Read the blocks of one component in one MCU. */
static inline int read_unit(decoder *all, part *one, int x, int y, int h, int v, block_reader read) {
    for (int j = 0; j < v; j++) {
        const size_t line = (size_t)((one->is_ring ? (y & 1) * v : y * v) + j) * (size_t)one->wide;
        for (int i = 0; i < h; i++)
            if (!read(all, one, line + (size_t)(x * h + i))) return 0;
    }
    return 1;
}

/* A component by itself has MCUs of one block, A.2.2. */
static inline int read_line(decoder *all, int y, block_reader read) {
    const int is_lone = all->count == 1, across = is_lone ? all->now[0]->across : all->across;
    for (int x = 0; x < across; x++) {
        if (all->interval && !all->left && !restart(all)) return 0;
        all->left--;
        for (int at = 0; at < all->count; at++) {
            part *one = all->now[at];
            if (!read_unit(all, one, x, y, is_lone ? 1 : one->h, is_lone ? 1 : one->v, read)) return 0;
        }
    }
    return all->in.held >= all->in.lent;
}

static int read_line_of_kind(decoder *all, int y) {
    if (!all->is_progressive) return read_line(all, y, read_whole);
    if (all->from) return read_line(all, y, all->high ? read_band_more : read_band_first);
    return read_line(all, y, all->high ? read_dc_more : read_dc_first);
}

/* Choose what two rows of MCUs have brought. */
static int choose_band(decoder *all, int band) {
    for (int number = 0; number < all->image->planes; number++) {
        const plane *to = &all->image->plane[number];
        const int lines = all->parts[number].v * 2 / (to->halves_y ? 2 : 1);
        if (requant_choose(all->image, number, band * lines, (band + 1) * lines)) continue;
        all->no_memory = 1;
        return 0;
    }
    return 1;
}

static int read_scan(decoder *all) {
    const int down = all->count == 1 ? all->now[0]->down : all->down;
    all->restarts = 0;
    begin_interval(all);
    for (int y = 0; y < down; y++) {
        if (!read_line_of_kind(all, y)) return 0;
        if (all->is_ring && (y & 1 || y == down - 1) && !choose_band(all, y / 2)) return 0;
    }
    return is_spent(&all->in);
}

/* May this scan be read? What libjpeg warns of is refused, as jdhuff.c and jdphuff.c have it. */

static int are_codes_ready(codes *one) { return one->is_built || (one->is_there && build_codes(one)); }

/* A DC's symbols are sizes alone. */
static int are_sizes_ready(codes *one) {
    if (!are_codes_ready(one)) return 0;
    for (int at = 0; at < one->total; at++)
        if (one->symbols[at] > 15) return 0;
    return 1;
}

static int is_sequence_right(decoder *all) {
    if (all->from || all->until != BLOCK - 1 || all->high || all->low) return 0;
    for (int at = 0; at < all->count; at++) {
        part *one = all->now[at];
        if (one->is_done++ || !are_sizes_ready(&all->dc[one->dc]) || !are_codes_ready(&all->ac[one->ac])) return 0;
    }
    return 1;
}

static int is_progress_right(const decoder *all, part *one) {
    if (all->from && one->low[0] < 0) return 0; /* DC comes first */
    for (int at = all->from; at <= all->until; at++) {
        if (all->high != (one->low[at] < 0 ? 0 : one->low[at])) return 0;
        one->low[at] = (int8_t)all->low;
    }
    return 1;
}

static int is_progression_right(decoder *all) {
    if (all->from > all->until || all->until >= BLOCK || (!all->from && all->until)) return 0;
    if ((all->from && all->count != 1) || all->low > LOW_MOST) return 0;
    if (all->high && all->low != all->high - 1) return 0;
    for (int at = 0; at < all->count; at++) {
        part *one = all->now[at];
        if (!is_progress_right(all, one)) return 0;
        if (all->from && !are_codes_ready(&all->ac[one->ac])) return 0;
        if (!all->from && !all->high && !are_sizes_ready(&all->dc[one->dc])) return 0;
    }
    return 1;
}

static part *part_of(decoder *all, int id) {
    for (int number = 0; number < all->image->planes; number++)
        if (all->parts[number].id == id) return &all->parts[number];
    return NULL;
}

/* Headers between scans: `in->at` is behind the segment's length, `body` bytes of it are there. */

static int read_scan_header(decoder *all, size_t body) {
    const uint8_t *at = all->in.at;
    int units = 0;
    all->count = body ? *at++ : 0;
    if (all->count < 1 || all->count > all->image->planes || body != (size_t)all->count * 2 + 4) return 0;
    for (int number = 0; number < all->count; number++, at += 2) {
        part *one = part_of(all, at[0]);
        if (!one || (at[1] >> 4) >= NUM_HUFF_TBLS || (at[1] & 15) >= NUM_HUFF_TBLS) return 0;
        for (int other = 0; other < number; other++)
            if (all->now[other] == one) return 0;
        one->dc = at[1] >> 4;
        one->ac = at[1] & 15;
        all->now[number] = one;
        units += one->h * one->v;
    }
    all->from = at[0];
    all->until = at[1];
    all->high = at[2] >> 4;
    all->low = at[2] & 15;
    if (all->is_ring && all->count != all->image->planes) return 0;
    if (all->count > 1 && units > UNITS_MOST) return 0;
    return all->is_progressive ? is_progression_right(all) : is_sequence_right(all);
}

static int set_codes(codes *one, const uint8_t *count, const uint8_t *symbols, size_t most) {
    size_t total = 0;
    one->is_built = one->is_there = 0;
    for (int length = 1; length <= CODE_MOST; length++) total += one->count[length] = count[length - 1];
    if (total > sizeof one->symbols || total > most) return -1;
    one->total = (int)total;
    one->is_there = 1;
    memcpy(one->symbols, symbols, total);
    return (int)total;
}

static int read_codes(decoder *all, size_t body) {
    const uint8_t *at = all->in.at;
    while (body > CODE_MOST) {
        const int number = at[0] & 15;
        if (at[0] >> 5 || number >= NUM_HUFF_TBLS) return 0;
        codes *to = at[0] >> 4 ? &all->ac[number] : &all->dc[number];
        const int total = set_codes(to, at + 1, at + 1 + CODE_MOST, body - 1 - CODE_MOST);
        if (total < 0) return 0;
        at += 1 + CODE_MOST + total;
        body -= 1 + CODE_MOST + (size_t)total;
    }
    return !body;
}

static int read_interval(decoder *all, size_t body) {
    if (body == 2) all->interval = all->in.at[0] << 8 | all->in.at[1];
    return body == 2;
}

static int read_segment(decoder *all, unsigned marker) {
    reader *in = &all->in;
    if (in->end - in->at < 2) return 0;
    const size_t length = (size_t)in->at[0] << 8 | in->at[1];
    if (length < 2 || length > (size_t)(in->end - in->at)) return 0;
    in->at += 2;
    int is_right = marker == 0xFE || (marker & 0xF0) == 0xE0;
    if (marker == 0xC4) is_right = read_codes(all, length - 2);
    if (marker == 0xDD) is_right = read_interval(all, length - 2);
    if (marker == 0xDA) is_right = read_scan_header(all, length - 2);
    in->at += length - 2;
    return is_right;
}

/* From a scan's header to the end of the image. */
static int read_scans(decoder *all) {
    reader *in = &all->in;
    for (unsigned marker = 0xDA; marker != 0xD9;) {
        if (!read_segment(all, marker)) return 0;
        if (marker == 0xDA && (all->scans++ >= all->max_scans || !read_scan(all))) return 0;
        if (in->at == in->end || *in->at++ != 0xFF) return 0;
        while (in->at < in->end && *in->at == 0xFF) in->at++;
        if (in->at == in->end) return 0;
        marker = *in->at++;
    }
    for (int number = 0; number < all->image->planes; number++)
        if (all->is_progressive ? all->parts[number].low[0] < 0 : !all->parts[number].is_done) return 0;
    return 1;
}

/* Memory */

#ifdef MADV_HUGEPAGE

#define LARGE ((size_t)8 << 20)

/* Whole images in pages of 2 MB: in those of 4 KB their page faults cost as much as clearing them. */
static void *cleared(size_t bytes) {
    if (bytes < LARGE) return calloc(1, bytes);
    void *made = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) return NULL;
    madvise(made, bytes, MADV_HUGEPAGE); /* a wish: where it fails, small pages do */
    return made;
}

static void give_back(void *made, size_t bytes) {
    if (!made || bytes < LARGE)
        free(made);
    else
        munmap(made, bytes);
}

#else

static void *cleared(size_t bytes) { return calloc(1, bytes); }
static void give_back(void *made, size_t bytes) {
    (void)bytes;
    free(made);
}

#endif

static int round_up(int value, int to) { return (value + to - 1) / to * to; }

static int set_part(decoder *all, const struct jpeg_decompress_struct *jpeg, int number) {
    const jpeg_component_info *from = &jpeg->comp_info[number];
    const int is_lone = jpeg->num_components == 1;
    part *one = &all->parts[number];
    plane *to = &all->image->plane[number];
    one->id = from->component_id;
    one->h = is_lone ? 1 : from->h_samp_factor;
    one->v = is_lone ? 1 : from->v_samp_factor;
    one->across = (int)from->width_in_blocks;
    one->down = (int)from->height_in_blocks;
    one->wide = round_up(one->across, one->h);
    one->is_ring = all->is_ring;
    memset(one->low, -1, sizeof one->low);
    const int lines = all->is_ring ? 2 * one->v : round_up(one->down, one->v);
    const size_t blocks = (size_t)one->wide * (size_t)lines;
    one->bytes = blocks * sizeof *one->blocks;
    one->blocks = cleared(one->bytes);
    if (all->is_progressive) one->kept = calloc(blocks, sizeof *one->kept);
    if (!one->blocks || (all->is_progressive && !one->kept)) return 0;
    for (int y = 0; y < one->down; y++) to->rows[y] = one->blocks + (size_t)(y % lines) * (size_t)one->wide;
    return 1;
}

static void set_tables(decoder *all, const struct jpeg_decompress_struct *jpeg) {
    for (int number = 0; number < NUM_HUFF_TBLS; number++) {
        const JHUFF_TBL *dc = jpeg->dc_huff_tbl_ptrs[number], *ac = jpeg->ac_huff_tbl_ptrs[number];
        if (dc) set_codes(&all->dc[number], dc->bits + 1, dc->huffval, sizeof dc->huffval);
        if (ac) set_codes(&all->ac[number], ac->bits + 1, ac->huffval, sizeof ac->huffval);
    }
}

static int choose_all(decoder *all) {
    for (int number = 0; number < all->image->planes; number++)
        if (!requant_choose(all->image, number, 0, all->image->plane[number].down)) return 0;
    return 1;
}

static reading read_into(decoder *all, const struct jpeg_decompress_struct *jpeg) {
    for (int number = 0; number < all->image->planes; number++)
        if (!set_part(all, jpeg, number)) return READ_NO_MEMORY;
    set_tables(all, jpeg);
    if (!read_scans(all)) return all->no_memory ? READ_NO_MEMORY : READ_NOT;
    return all->is_ring || choose_all(all) ? READ_ALL : READ_NO_MEMORY;
}

reading requant_read(const struct jpeg_decompress_struct *jpeg, picture *image, int max_scans) {
    decoder *all = calloc(1, sizeof *all);
    if (!all) return READ_NO_MEMORY;
    all->image = image;
    all->max_scans = max_scans;
    all->interval = (int)jpeg->restart_interval;
    all->is_progressive = jpeg->progressive_mode;
    all->is_ring = !jpeg->progressive_mode && !image->plane[0].turn && jpeg->comps_in_scan == jpeg->num_components;
    all->across = round_up((int)jpeg->image_width, 8 * jpeg->max_h_samp_factor) / (8 * jpeg->max_h_samp_factor);
    all->down = round_up((int)jpeg->image_height, 8 * jpeg->max_v_samp_factor) / (8 * jpeg->max_v_samp_factor);
    /* the header of the first scan lies behind where libjpeg has stopped: its length and what that counts */
    all->in.at = jpeg->src->next_input_byte - (6 + 2 * jpeg->comps_in_scan);
    all->in.end = jpeg->src->next_input_byte + jpeg->src->bytes_in_buffer;
    const reading how = read_into(all, jpeg);
    for (int number = 0; number < MAX_PLANES; number++) {
        give_back(all->parts[number].blocks, all->parts[number].bytes);
        free(all->parts[number].kept);
    }
    free(all);
    return how;
}
