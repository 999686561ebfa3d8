// What neurons do, in one pass over memory: each block of values goes through all of it while it is
// in the cache. snnconvert/ops/neurons/ladder.py says what the scan of a ladder computes, and
// snnconvert/ops/tables.py what a look-up does.
//
// Compiled without contraction (-ffp-contract=off): every form has the same bits.

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030a0000
#include <Python.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_MACHINE \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_MACHINE
#endif
#define INLINE inline __attribute__((always_inline))

namespace {

constexpr int kMaxDims = 64;
constexpr int64_t kBlock = 1024;    // values: a step of them and their state stay in the cache
constexpr int64_t kGrain = 32768;   // answers for which a thread is worth its start
constexpr int64_t kTogether = 3;    // answers of a value while it is in a register, at most

template <typename Real>
struct Bits;
template <>
struct Bits<float> {
  using Integer = int32_t;
  static constexpr int fraction = 23, bias = 127;
};
template <>
struct Bits<double> {
  using Integer = int64_t;
  static constexpr int fraction = 52, bias = 1023;
};

// The drive, the state before it, the parameters of features, and the answers, along one dimension.
struct Dimension {
  int64_t size, drive, before, feature, out;
};

struct Scan {
  const void *drive, *before, *tops, *rates, *pers;
  void* out;
  int64_t time_steps, drive_step, out_step, features, per_octave, levels, bursts, kept, dims;
  bool is_signed, is_bounded;
  double low, high;
  Dimension dim[kMaxDims];
};

enum Kind { kOneLevel, kPowersOfTwo, kLevels };
enum Limits { kFree, kFromBelow, kBoth };  // a rectifier has a limit below alone

// Some answers, one after the other, of n values. Comparisons are written so that what is not a
// number stays so, as those of torch do.
template <typename Real, Kind kKind, bool kPerFeature, Limits kLimits, int kAnswers>
INLINE void answer(
    const Scan& scan, int64_t n, const Real* drive, const Real* last, Real* out, const Real* tops,
    const Real* rates, const Real* pers) {
  using Integer = typename Bits<Real>::Integer;
  const Real low = static_cast<Real>(scan.low), high = static_cast<Real>(scan.high);
  const Real lowest = scan.is_signed ? Real(-1) : Real(0);
  int kept_bits = 0;
  while ((int64_t(1) << kept_bits) < scan.per_octave) ++kept_bits;
  const Integer mask = -(Integer(1) << (Bits<Real>::fraction - kept_bits));
  const Real least = static_cast<Real>(
      std::ldexp(1 - 0.25 / static_cast<double>(scan.per_octave), static_cast<int>(1 - scan.levels)));
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const int64_t f = kPerFeature ? i : 0;
    const Real x = drive[i], top = tops[f], rate = rates[f], per = pers[f];
    Real now = last[i];
#pragma GCC unroll 4
    for (int k = 0; k < kAnswers; ++k) {
      Real w = (x - now) * rate;
      if (kLimits == kBoth) {
        const Real above = (high - now) * per;
        w = above < w ? above : w;
      }
      if (kLimits != kFree) {
        const Real below = (low - now) * per;
        w = below > w ? below : w;
      }
      Real spike;
      if (kKind == kOneLevel) {
        spike = std::floor(w * Real(0.5) + Real(0.5));
        spike = spike < lowest ? lowest : spike;
        spike = spike > Real(1) ? Real(1) : spike;
      } else {
        w = w < lowest ? lowest : w;
        w = w > Real(1) ? Real(1) : w;
        Integer bits;
        std::memcpy(&bits, &w, sizeof(w));
        bits &= mask;
        std::memcpy(&spike, &bits, sizeof(w));
        // Without fraction bits it would be infinite.
        if (kKind == kPowersOfTwo) spike = w != w ? w : spike;
        spike = std::fabs(spike) <= least ? Real(0) : spike;
      }
      now = now + spike * top;
      if (kLimits != kFree) now = now < low ? low : now;
      if (kLimits == kBoth) now = now > high ? high : now;
    }
    out[i] = now;
  }
}

// All steps of a block of n values.
template <typename Real, Kind kKind, bool kPerFeature, Limits kLimits>
INLINE void block(
    const Scan& scan, int64_t n, const Real* drive, int64_t drive_stride, const Real* before,
    int64_t before_stride, int64_t feature, Real* out) {
  alignas(64) Real state[kBlock];
  alignas(64) Real gathered[kBlock];
  const Real* last = before_stride == 1 ? before : state;
  if (before_stride == 0) {
    std::fill(state, state + n, *before);
  } else if (before_stride != 1) {
    for (int64_t i = 0; i < n; ++i) state[i] = before[i * before_stride];
  }
  for (int64_t t = 0; t < scan.time_steps; ++t) {
    const Real* now = drive + t * scan.drive_step;
    if (drive_stride != 1) {
      for (int64_t i = 0; i < n; ++i) gathered[i] = now[i * drive_stride];
      now = gathered;
    }
    const int64_t at = t * scan.features + feature;
    const Real* tops = static_cast<const Real*>(scan.tops) + at;
    const Real* rates = static_cast<const Real*>(scan.rates) + at;
    const Real* pers = static_cast<const Real*>(scan.pers) + at;
    for (int64_t left = scan.bursts; left > 0;) {
      // As many at once as are not to be kept one by one.
      const int64_t together = std::min<int64_t>(left - scan.kept + 1, kTogether);
      const int64_t taken = std::max<int64_t>(together, 1);
      left -= taken;
      Real* to = left < scan.kept ? out + (t * scan.kept + scan.kept - 1 - left) * scan.out_step
                                  : state;
      const auto arguments = [&](auto answers) {
        answer<Real, kKind, kPerFeature, kLimits, answers()>(
            scan, n, now, last, to, tops, rates, pers);
      };
      if (taken == 1) {
        arguments(std::integral_constant<int, 1>());
      } else if (taken == 2) {
        arguments(std::integral_constant<int, 2>());
      } else {
        arguments(std::integral_constant<int, 3>());
      }
      last = to;
    }
  }
}

// The blocks from one number to another: each is a part of a row along the innermost dimension.
template <typename Real, Kind kKind, bool kPerFeature, Limits kLimits>
INLINE void blocks(const Scan& scan, int64_t begin, int64_t end) {
  const Dimension& inner = scan.dim[scan.dims - 1];
  const int64_t parts = (inner.size + kBlock - 1) / kBlock;
  for (int64_t number = begin; number < end; ++number) {
    int64_t row = number / parts;
    const int64_t first = number % parts * kBlock;
    int64_t drive = first * inner.drive, before = first * inner.before;
    int64_t feature = first * inner.feature, out = first * inner.out;
    for (int64_t d = scan.dims - 2; d >= 0; --d) {
      const Dimension& dim = scan.dim[d];
      const int64_t index = row % dim.size;
      row /= dim.size;
      drive += index * dim.drive;
      before += index * dim.before;
      feature += index * dim.feature;
      out += index * dim.out;
    }
    block<Real, kKind, kPerFeature, kLimits>(
        scan, std::min(kBlock, inner.size - first), static_cast<const Real*>(scan.drive) + drive,
        inner.drive, static_cast<const Real*>(scan.before) + before, inner.before, feature,
        static_cast<Real*>(scan.out) + out);
  }
}

template <typename Real, Kind kKind, Limits kLimits>
INLINE void within(const Scan& scan, int64_t begin, int64_t end) {
  scan.dim[scan.dims - 1].feature != 0 ? blocks<Real, kKind, true, kLimits>(scan, begin, end)
                                       : blocks<Real, kKind, false, kLimits>(scan, begin, end);
}

template <typename Real, Kind kKind>
INLINE void of_kind(const Scan& scan, int64_t begin, int64_t end) {
  if (!scan.is_bounded) {
    within<Real, kKind, kFree>(scan, begin, end);
  } else if (scan.high == HUGE_VAL) {
    within<Real, kKind, kFromBelow>(scan, begin, end);
  } else {
    within<Real, kKind, kBoth>(scan, begin, end);
  }
}

template <typename Real>
INLINE void of_type(const Scan& scan, int64_t begin, int64_t end) {
  if (scan.levels == 1) {
    of_kind<Real, kOneLevel>(scan, begin, end);
  } else if (scan.per_octave == 1) {
    of_kind<Real, kPowersOfTwo>(scan, begin, end);
  } else {
    of_kind<Real, kLevels>(scan, begin, end);
  }
}

constexpr int kOctaves = 254;  // of normal numbers of float32

// A table, and a flat drive that reads it.
struct LookUp {
  const void *drive, *entries;
  void* out;
  int64_t values, count, symmetry, parts, cycle, falls, gain, first, rectified, octave, octaves;
  int32_t bits[kOctaves], starts[kOctaves];  // of each octave, of the index of its parts
  double scale, origin, low, high, low_slope, low_jump, high_slope, high_jump, at_rest;
};

// The position in a table that is nearest to each of n drives, and of which cycle it is.
template <typename Real>
INLINE void positions(
    const LookUp& look, int64_t n, const Real* drive, int32_t* index, Real* later) {
  using Integer = typename Bits<Real>::Integer;
  const Real low = static_cast<Real>(look.low), high = static_cast<Real>(look.high);
  const Real scale = static_cast<Real>(look.scale), origin = static_cast<Real>(look.origin);
  const Real first = static_cast<Real>(look.first), cycle = static_cast<Real>(look.cycle);
  const bool sizes = look.symmetry != 0, falls = look.falls != 0;
  const int32_t last = static_cast<int32_t>(look.count - 1);
  int part_bits = 0;
  while ((int64_t(1) << part_bits) < look.parts) ++part_bits;
  const int shift = Bits<Real>::fraction - part_bits;
  const Integer half = Integer(1) << (shift - 1);
  const Integer bias = static_cast<Integer>(Bits<Real>::bias * look.parts);
  if (look.octaves) {
    constexpr Integer fraction = Bits<Real>::fraction;
    constexpr Integer inside = (Integer(1) << fraction) - 1;
    const Real least = static_cast<Real>(std::ldexp(1.0, static_cast<int>(look.octave)));
    const Integer lowest = static_cast<Integer>(Bits<Real>::bias + look.octave);
    const Integer top = static_cast<Integer>(look.octaves - 1);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
      Real x = sizes ? std::fabs(drive[i]) : drive[i];
      x = x < low ? low : x;
      x = (x > high ? high : x) - origin;
      x = x < least ? least : x;
      Integer bits;
      std::memcpy(&bits, &x, sizeof(x));
      Integer octave = (bits >> fraction) - lowest;
      octave = octave < 0 ? 0 : (octave > top ? top : octave);
      const Integer behind = fraction - look.bits[octave];
      const Integer part = ((bits & inside) + (Integer(1) << (behind - 1))) >> behind;
      later[i] = static_cast<Real>(part + look.starts[octave]) - first;
    }
  } else if (look.parts) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
      Real x = sizes ? std::fabs(drive[i]) : drive[i];
      x = x < low ? low : x;
      x = (x > high ? high : x) - origin;
      Integer bits;
      std::memcpy(&bits, &x, sizeof(x));
      later[i] = static_cast<Real>(((bits + half) >> shift) - bias) - first;
    }
  } else {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
      Real x = sizes ? std::fabs(drive[i]) : drive[i];
      x = x < low ? low : x;
      x = x > high ? high : x;
      later[i] = std::nearbyint(x * scale) - first;
    }
  }
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    Real position = later[i], turns = 0;
    if (cycle != 0) {
      turns = std::floor(position / cycle);
      turns = falls && turns > 0 ? Real(0) : turns;
      position = position - turns * cycle;
    }
    later[i] = turns;
    // What is no number reads the first; it is no number in the end.
    const bool fits = position >= Real(0) && position < Real(2147483648.0);
    const int32_t whole = fits ? static_cast<int32_t>(position) : 0;
    index[i] = whole > last ? last : whole;
  }
}

// 2^exponent of whole exponents, down to what is below the smallest number.
INLINE float power_of_two(float exponent) {
  const float bounded = exponent > 128 ? 128 : (exponent < -150 ? -150 : exponent);
  const int32_t e = bounded == bounded ? static_cast<int32_t>(bounded) : 0;
  const int32_t normal = (e + 127) << 23, below = e < -149 ? 0 : 1 << ((e + 149) & 31);
  const int32_t bits = e < -126 ? below : normal;
  float found;
  std::memcpy(&found, &bits, sizeof(found));
  return found;
}
INLINE double power_of_two(double exponent) {
  return std::ldexp(1.0, exponent == exponent ? static_cast<int>(
      exponent > 1024 ? 1024 : (exponent < -1075 ? -1075 : exponent)) : 0);
}

// What a table says of n drives.
template <typename Real>
INLINE void read(
    const LookUp& look, int64_t n, const Real* drive, const int32_t* index, const Real* later,
    Real* out) {
  const Real* entries = static_cast<const Real*>(look.entries);
  const Real low = static_cast<Real>(look.low), high = static_cast<Real>(look.high);
  const Real low_slope = static_cast<Real>(-look.low_slope);
  const Real high_slope = static_cast<Real>(look.high_slope);
  const Real low_jump = static_cast<Real>(look.low_jump);
  const Real high_jump = static_cast<Real>(look.high_jump);
  const Real at_rest = static_cast<Real>(look.at_rest), gain = static_cast<Real>(look.gain);
  const bool sizes = look.symmetry != 0, odd = look.symmetry < 0;
  const bool rectified = look.rectified != 0;
  for (int64_t i = 0; i < n; ++i) out[i] = entries[index[i]];
  if (gain != 0) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] *= power_of_two(later[i] * gain);
  }
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const Real x = drive[i], size = sizes ? std::fabs(x) : x;
    Real clamped = size < low ? low : size, value = out[i];
    clamped = clamped > high ? high : clamped;
    if (low_slope != 0) {
      Real beyond = -(size - low);
      beyond = beyond < 0 ? Real(0) : beyond;
      value += beyond * low_slope;
    }
    if (low_jump != 0) value += (-(size - low) > 0 ? Real(1) : Real(0)) * low_jump;
    if (high_slope != 0) {
      Real beyond = size - high;
      beyond = beyond < 0 ? Real(0) : beyond;
      value += beyond * high_slope;
    }
    if (high_jump != 0) value += (size - high > 0 ? Real(1) : Real(0)) * high_jump;
    value += clamped - clamped;
    if (odd) value *= x > 0 ? Real(1) : (x < 0 ? Real(-1) : Real(0));
    if (rectified) value += x > 0 ? x : Real(0);
    const bool lost = value - value != 0 && x - x == 0;
    out[i] = lost ? at_rest : value;
  }
}

template <typename Real>
INLINE void look_up_part(const LookUp& look, int64_t begin, int64_t end) {
  alignas(64) int32_t index[kBlock];
  alignas(64) Real later[kBlock];
  const Real* drive = static_cast<const Real*>(look.drive);
  Real* out = static_cast<Real*>(look.out);
  for (int64_t at = begin; at < end; at += kBlock) {
    const int64_t n = std::min(kBlock, end - at);
    positions<Real>(look, n, drive + at, index, later);
    read<Real>(look, n, drive + at, index, later, out + at);
  }
}

}  // namespace

FOR_EACH_MACHINE void snnconvert_look_up_float(const void* look, int64_t begin, int64_t end) {
  look_up_part<float>(*static_cast<const LookUp*>(look), begin, end);
}

FOR_EACH_MACHINE void snnconvert_look_up_double(const void* look, int64_t begin, int64_t end) {
  look_up_part<double>(*static_cast<const LookUp*>(look), begin, end);
}

FOR_EACH_MACHINE void snnconvert_scan_float(const void* scan, int64_t begin, int64_t end) {
  of_type<float>(*static_cast<const Scan*>(scan), begin, end);
}

FOR_EACH_MACHINE void snnconvert_scan_double(const void* scan, int64_t begin, int64_t end) {
  of_type<double>(*static_cast<const Scan*>(scan), begin, end);
}

namespace {

// Dimensions in the order of the answers in memory; those along which every operand goes on where
// the one behind it ends become one.
void coalesce(Scan& scan) {
  Dimension* dim = scan.dim;
  Dimension* end = std::remove_if(
      dim, dim + scan.dims, [](const Dimension& d) { return d.size == 1; });
  if (end == dim) *end++ = Dimension{1, 1, 1, 0, 1};
  std::stable_sort(dim, end, [](const Dimension& a, const Dimension& b) { return a.out > b.out; });
  Dimension* last = dim;
  for (Dimension* inner = dim + 1; inner < end; ++inner) {
    const bool goes_on = last->drive == inner->drive * inner->size &&
                         last->before == inner->before * inner->size &&
                         last->feature == inner->feature * inner->size &&
                         last->out == inner->out * inner->size;
    if (goes_on) {
      const int64_t size = last->size * inner->size;
      *last = *inner;
      last->size = size;
    } else {
      *++last = *inner;
    }
  }
  scan.dims = last - dim + 1;
}

// A part of the work on the items from one number to another.
using Part = void (*)(const void*, int64_t, int64_t);

void share(Part part, const void* of, int64_t items, int64_t work, int64_t threads) {
  threads = std::min({threads, items, 1 + work / kGrain});
  if (threads <= 1) return part(of, 0, items);
#pragma omp parallel for num_threads(static_cast<int>(threads)) schedule(static, 1)
  for (int64_t thread = 0; thread < threads; ++thread) {
    part(of, items * thread / threads, items * (thread + 1) / threads);
  }
}

void run(const Scan& scan, bool is_double, int64_t threads) {
  const Dimension& inner = scan.dim[scan.dims - 1];
  int64_t rows = 1;
  for (int64_t d = 0; d + 1 < scan.dims; ++d) rows *= scan.dim[d].size;
  const int64_t blocks = rows * ((inner.size + kBlock - 1) / kBlock);
  const int64_t work = rows * inner.size * scan.time_steps * scan.bursts;
  share(is_double ? snnconvert_scan_double : snnconvert_scan_float, &scan, blocks, work, threads);
}

// A tuple of so many whole numbers.
bool read(PyObject* tuple, int64_t count, int64_t* out) {
  if (!PyTuple_Check(tuple) || PyTuple_Size(tuple) != count) {
    PyErr_Format(PyExc_TypeError, "expected a tuple of %lld whole numbers", (long long)count);
    return false;
  }
  for (int64_t i = 0; i < count; ++i) {
    out[i] = PyLong_AsLongLong(PyTuple_GetItem(tuple, i));
    if (out[i] == -1 && PyErr_Occurred()) return false;
  }
  return true;
}

// A limit, or None, which leaves it as it is.
bool read(PyObject* number, double* out) {
  if (number != Py_None) *out = PyFloat_AsDouble(number);
  return !PyErr_Occurred();
}

constexpr int kPointers = 6, kNumbers = 10, kRows = 5, kFirstRow = 5;

PyObject* ladder_scan(PyObject*, PyObject* const* given, Py_ssize_t count) {
  Scan scan = {};
  scan.low = -HUGE_VAL;
  scan.high = HUGE_VAL;
  int64_t pointers[kPointers], numbers[kNumbers], rows[kRows][kMaxDims];
  if (count != kFirstRow + kRows) {
    PyErr_SetString(PyExc_TypeError, "ladder_scan takes 10 arguments");
    return nullptr;
  }
  scan.dims = PyTuple_Check(given[kFirstRow]) ? PyTuple_Size(given[kFirstRow]) : 0;
  if (scan.dims < 1 || scan.dims > kMaxDims) {
    PyErr_SetString(PyExc_ValueError, "ladder_scan takes 1 to 64 dimensions");
    return nullptr;
  }
  const int is_double = PyObject_IsTrue(given[0]);
  if (is_double < 0 || !read(given[1], kPointers, pointers) ||
      !read(given[2], kNumbers, numbers) || !read(given[3], &scan.low) || !read(given[4], &scan.high)) {
    return nullptr;
  }
  for (int row = 0; row < kRows; ++row) {
    if (!read(given[kFirstRow + row], scan.dims, rows[row])) return nullptr;
  }
  scan.is_bounded = given[3] != Py_None || given[4] != Py_None;
  scan.drive = reinterpret_cast<const void*>(pointers[0]);
  scan.before = reinterpret_cast<const void*>(pointers[1]);
  scan.tops = reinterpret_cast<const void*>(pointers[2]);
  scan.rates = reinterpret_cast<const void*>(pointers[3]);
  scan.pers = reinterpret_cast<const void*>(pointers[4]);
  scan.out = reinterpret_cast<void*>(pointers[5]);
  scan.time_steps = numbers[1];
  scan.drive_step = numbers[2];
  scan.out_step = numbers[3];
  scan.features = numbers[4];
  scan.levels = numbers[5];
  scan.per_octave = numbers[6];
  scan.is_signed = numbers[7] != 0;
  scan.bursts = numbers[8];
  scan.kept = numbers[9];
  for (int64_t d = 0; d < scan.dims; ++d) {
    scan.dim[d] = {rows[0][d], rows[1][d], rows[2][d], rows[3][d], rows[4][d]};
  }
  coalesce(scan);
  Py_BEGIN_ALLOW_THREADS;
  run(scan, is_double != 0, numbers[0]);
  Py_END_ALLOW_THREADS;
  Py_RETURN_NONE;
}

constexpr int kReals = 9;

PyObject* look_up(PyObject*, PyObject* const* given, Py_ssize_t count) {
  LookUp look = {};
  int64_t pointers[3], numbers[11], bits[kOctaves];
  double reals[kReals];
  const int is_double = count == 5 ? PyObject_IsTrue(given[0]) : -1;
  if (count != 5) PyErr_SetString(PyExc_TypeError, "look_up takes 5 arguments");
  if (is_double < 0 || !read(given[1], 3, pointers) || !read(given[2], 11, numbers)) {
    return nullptr;
  }
  look.octaves = PyTuple_Check(given[4]) ? PyTuple_Size(given[4]) : -1;
  if (look.octaves < 0 || look.octaves > kOctaves) {
    PyErr_SetString(PyExc_TypeError, "expected a tuple of at most 254 numbers of bits");
    return nullptr;
  }
  if (!read(given[4], look.octaves, bits)) return nullptr;
  int64_t start = 0;
  for (int64_t i = 0; i < look.octaves; ++i) {
    look.bits[i] = static_cast<int32_t>(bits[i]);
    look.starts[i] = static_cast<int32_t>(start);
    start += int64_t(1) << bits[i];
  }
  if (!PyTuple_Check(given[3]) || PyTuple_Size(given[3]) != kReals) {
    PyErr_SetString(PyExc_TypeError, "expected a tuple of 9 numbers");
    return nullptr;
  }
  for (int i = 0; i < kReals; ++i) {
    if (!read(PyTuple_GetItem(given[3], i), &reals[i])) return nullptr;
  }
  look.drive = reinterpret_cast<const void*>(pointers[0]);
  look.entries = reinterpret_cast<const void*>(pointers[1]);
  look.out = reinterpret_cast<void*>(pointers[2]);
  look.values = numbers[1];
  look.count = numbers[2];
  look.symmetry = numbers[3];
  look.parts = numbers[4];
  look.cycle = numbers[5];
  look.falls = numbers[6];
  look.gain = numbers[7];
  look.first = numbers[8];
  look.rectified = numbers[9];
  look.octave = numbers[10];
  look.scale = reals[0];
  look.origin = reals[1];
  look.low = reals[2];
  look.high = reals[3];
  look.low_slope = reals[4];
  look.low_jump = reals[5];
  look.high_slope = reals[6];
  look.high_jump = reals[7];
  look.at_rest = reals[8];
  const Part part = is_double ? snnconvert_look_up_double : snnconvert_look_up_float;
  Py_BEGIN_ALLOW_THREADS;
  share(part, &look, look.values, 4 * look.values, numbers[0]);
  Py_END_ALLOW_THREADS;
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"ladder_scan", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(ladder_scan)),
     METH_FASTCALL,
     "ladder_scan(is_double, pointers, numbers, low, high, sizes, strides of drive, before, "
     "features, out)\n\n"
     "pointers: drive, before, tops, rates, pers, out; numbers: threads, time steps, strides of a "
     "step of drive and out, features, levels, per octave, signed, bursts, kept."},
    {"look_up", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(look_up)),
     METH_FASTCALL,
     "look_up(is_double, pointers, numbers, reals, bits)\n\n"
     "pointers: drive, entries, out; numbers: threads, values, entries, symmetry, parts of an "
     "octave (0: equal steps), positions of a cycle (0: none), whether cycles are below alone, "
     "gain, first position, whether relu of the drive is added, first octave of those with parts "
     "of their own; reals: positions for each unit, origin, ends, slope and jump below, "
     "slope and jump above, value at rest; bits: of the index of each octave's parts; none: all "
     "have as many."},
    {nullptr, nullptr, 0, nullptr}};

PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_native", "What neurons do, in one pass over memory.", -1, methods,
    nullptr,               nullptr,   nullptr,                                     nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__native() { return PyModule_Create(&module); }
