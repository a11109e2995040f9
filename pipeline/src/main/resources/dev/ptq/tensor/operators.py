# PyTorch's operators for tensor/Torch.java, which describes them. This is TorchScript as it is stored: every operator is
# a call with all its arguments in their order. Results are kept to the last bit, so the order of operations matters.
# Torch.java puts numbers in the place of LEAST_STEP, LEAST_FULL_RANGE and SCORES. 5, 6 and 7 are the types float16,
# float32 and float64.
class Operators(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool

  def linear(self: __torch__.Operators, x: Tensor, weight: Tensor) -> Tensor:
    return ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")

  def linear_bias(self: __torch__.Operators, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")

  def differentiable_linear(self: __torch__.Operators, x: Tensor, weight: Tensor) -> Tensor:
    return torch.to_dense(ops.aten.mkldnn_linear(torch.to_mkldnn(x), weight, None))

  def small_linear(self: __torch__.Operators, x: Tensor, weight: Tensor) -> Tensor:
    return torch.linear(x, weight)

  def logsumexp(self: __torch__.Operators, x: Tensor) -> List[Tensor]:
    largest = torch.amax(x, [-1], True)
    shift = torch.masked_fill(largest, torch.isinf(largest), 0)
    total = torch.sum(torch.exp_(torch.sub(x, shift)), [-1], True, dtype=7)
    return [torch.squeeze(torch.add(torch.log(total), shift), -1), torch.squeeze(largest, -1)]

  def rms_norm(self: __torch__.Operators, x: Tensor, weight: Tensor, epsilon: Tensor) -> Tensor:
    inverse = torch.rsqrt(torch.add(torch.mean(torch.mul(x, x), [-1], True), epsilon))
    return torch.mul(torch.mul(x, inverse), weight)

  def layer_norm(self: __torch__.Operators, x: Tensor, weight: Tensor, bias: Tensor, epsilon: Tensor) -> Tensor:
    return torch.layer_norm(x, [torch.size(x, -1)], weight, bias, float(epsilon))

  def layer_norm_weight(self: __torch__.Operators, x: Tensor, weight: Tensor, epsilon: Tensor) -> Tensor:
    return torch.layer_norm(x, [torch.size(x, -1)], weight, None, float(epsilon))

  def layer_norm_plain(self: __torch__.Operators, x: Tensor, epsilon: Tensor) -> Tensor:
    return torch.layer_norm(x, [torch.size(x, -1)], None, None, float(epsilon))

  def gelu(self: __torch__.Operators, x: Tensor) -> Tensor:
    return torch.gelu(x)

  def gelu_tanh(self: __torch__.Operators, x: Tensor) -> Tensor:
    return torch.gelu(x, approximate="tanh")

  def softcap(self: __torch__.Operators, x: Tensor, bound: Tensor) -> Tensor:
    return torch.mul(torch.tanh(torch.div(x, bound)), bound)

  def where(self: __torch__.Operators, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return torch.where(torch.gt(condition, 0), x, y)

  def add_rows(self: __torch__.Operators, x: Tensor, rows: Tensor, values: Tensor) -> Tensor:
    return torch.index_add(x, 0, rows, values)

  def silu_mul(self: __torch__.Operators, x: Tensor, y: Tensor) -> Tensor:
    return torch.mul(torch.silu(x), y)

  def rotate(self: __torch__.Operators, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second, = torch.chunk(x, 2, -1)
    turned_first = torch.sub(torch.mul(first, cos), torch.mul(second, sin))
    turned_second = torch.add(torch.mul(second, cos), torch.mul(first, sin))
    return torch.cat([turned_first, turned_second], -1)

  def rotate_part(self: __torch__.Operators, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    width = torch.mul(torch.size(cos, -1), 2)
    turned = self.rotate(torch.slice(x, -1, 0, width), cos, sin)
    return torch.cat([turned, torch.slice(x, -1, width)], -1)

  def rotate_neighbours(self: __torch__.Operators, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    width = torch.mul(torch.size(cos, -1), 2)
    first = torch.slice(x, -1, 0, width, 2)
    second = torch.slice(x, -1, 1, width, 2)
    turned_first = torch.sub(torch.mul(first, cos), torch.mul(second, sin))
    turned_second = torch.add(torch.mul(second, cos), torch.mul(first, sin))
    turned = torch.flatten(torch.stack([turned_first, turned_second], -1), -2)
    return torch.cat([turned, torch.slice(x, -1, width)], -1)

  def attention(self: __torch__.Operators, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    shared_by = torch.floordiv(torch.size(query, 1), torch.size(key, 1))
    keys = torch.repeat_interleave(key, shared_by, 1)
    values = torch.repeat_interleave(value, shared_by, 1)
    return torch.scaled_dot_product_attention(query, keys, values, None, 0., True)

  def attend(self: __torch__.Operators, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, softcap: Tensor) -> Tensor:
    if torch.gt(torch.numel(softcap), 0):
      scores = torch.div(torch.matmul(query, torch.transpose(key, -2, -1)), torch.sqrt(torch.size(query, -1)))
      mixed = torch.matmul(torch.softmax(torch.add(self.softcap(scores, softcap), mask), -1), value)
    else:
      mixed = torch.scaled_dot_product_attention(query, key, value, mask, 0., False)
    return mixed

  def branched_attention(self: __torch__.Operators, query: Tensor, key: Tensor, value: Tensor, window: Tensor, mask: Tensor, bias: Tensor, softcap: Tensor) -> Tensor:
    shared_by = torch.floordiv(torch.size(query, 1), torch.size(key, 1))
    keys = torch.repeat_interleave(key, shared_by, 1)
    values = torch.repeat_interleave(value, shared_by, 1)
    tokens = torch.size(query, 2)
    most = torch.size(window, 0)
    trunk = torch.sub(tokens, torch.size(mask, 2))
    zero = torch.sub(torch.size(window, 1), most)
    scores = torch.mul(torch.mul(torch.size(query, 0), torch.size(query, 1)), tokens)
    step = ops.prim.min(most, ops.prim.max(torch.floordiv(most, 4), torch.floordiv(SCORES, scores)))
    biased = torch.gt(torch.size(bias, 3), 0)
    parts = annotate(List[Tensor], [])
    for i in range(torch.floordiv(torch.sub(torch.add(trunk, step), 1), step)):
      start = torch.mul(i, step)
      end = ops.prim.min(torch.add(start, step), trunk)
      causal = torch.slice(torch.slice(window, 0, 0, torch.sub(end, start)), 1, torch.sub(zero, start), torch.add(torch.sub(zero, start), end))
      if biased:
        added = torch.add(torch.slice(bias, 3, 0, end), causal)
      else:
        added = causal
      part = self.attend(torch.slice(query, 2, start, end), torch.slice(keys, 2, 0, end), torch.slice(values, 2, 0, end), added, softcap)
      parts = torch.append(parts, part)
    for i in range(torch.floordiv(torch.sub(torch.add(torch.sub(tokens, trunk), step), 1), step)):
      start = torch.mul(i, step)
      end = ops.prim.min(torch.add(start, step), torch.sub(tokens, trunk))
      last = torch.add(trunk, end)
      own = torch.slice(torch.slice(mask, 2, start, end), 3, 0, last)
      if biased:
        added = torch.add(torch.slice(bias, 3, 0, last), own)
      else:
        added = own
      part = self.attend(torch.slice(query, 2, torch.add(trunk, start), last), torch.slice(keys, 2, 0, last), torch.slice(values, 2, 0, last), added, softcap)
      parts = torch.append(parts, part)
    return torch.cat(parts, 2)

  def attention_probabilities(self: __torch__.Operators, query: Tensor, key: Tensor, mask: Tensor, divisor: Tensor) -> Tensor:
    scores = torch.div(torch.matmul(query, torch.transpose(key, -2, -1)), divisor)
    return torch.softmax(torch.add(scores, mask), -1)

  def mean_squared_error(self: __torch__.Operators, x: Tensor, target: Tensor) -> Tensor:
    difference = torch.sub(x, target)
    return torch.mean(torch.mul(difference, difference))

  def mean_cosine(self: __torch__.Operators, x: Tensor, target: Tensor) -> Tensor:
    return torch.mean(torch.cosine_similarity(x, target, -1, 9.9999999999999995e-09))

  def inverse(self: __torch__.Operators, x: Tensor) -> Tensor:
    return torch.to(torch.linalg_inv(torch.to(x, 7)), ops.prim.dtype(x))

  def embedding(self: __torch__.Operators, table: Tensor, indices: Tensor) -> Tensor:
    return torch.embedding(table, indices)

  def cross_entropy(self: __torch__.Operators, logits: Tensor, targets: Tensor) -> Tensor:
    return torch.cross_entropy_loss(logits, targets)

  def dropout(self: __torch__.Operators, x: Tensor, rate: Tensor) -> Tensor:
    return torch.dropout(x, float(rate), True)

  def contiguous(self: __torch__.Operators, x: Tensor) -> Tensor:
    return torch.contiguous(x)

  def integers_by_divisor(self: __torch__.Operators, x: Tensor, divisor: Tensor, scale: Tensor, zero_point: Tensor, codes: Tensor) -> Tensor:
    quotient = torch.div(x, divisor)
    constant = torch.detach(quotient)
    rounded = torch.add_(quotient, torch.sub_(torch.round(constant), constant))
    lowest = torch.sub(torch.select(codes, 0, 0), zero_point)
    highest = torch.sub(torch.select(codes, 0, 1), zero_point)
    return torch.mul(torch.clamp(rounded, lowest, highest), scale)

  def shifted_integers(self: __torch__.Operators, x: Tensor, shift: Tensor, scale: Tensor, zero_point: Tensor, codes: Tensor) -> Tensor:
    quotient = torch.add(torch.div(x, scale), shift)
    constant = torch.detach(quotient)
    rounded = torch.add_(quotient, torch.sub_(torch.round(constant), constant))
    lowest = torch.sub(torch.select(codes, 0, 0), zero_point)
    highest = torch.sub(torch.select(codes, 0, 1), zero_point)
    below = torch.where(torch.ge(rounded, highest), highest, rounded)
    return torch.mul(torch.where(torch.le(rounded, lowest), lowest, below), scale)

  def half_scale(self: __torch__.Operators, scale: Tensor, half: Tensor) -> Tensor:
    constant = torch.detach(scale)
    if torch.gt(half, 0):
      stored = torch.to(torch.to(constant, 5), ops.prim.dtype(scale))
    else:
      stored = constant
    return torch.add(scale, torch.sub(stored, constant))

  def full_symmetric_range(self: __torch__.Operators, x: Tensor, upper: Tensor, lower: Tensor, codes: Tensor, half: Tensor) -> Tuple[Tensor, Tensor]:
    high = torch.mul(torch.clamp_min(torch.amax(x, [-1], True), 0), upper)
    low = torch.mul(torch.neg(torch.clamp_max(torch.amin(x, [-1], True), 0)), lower)
    step = torch.div(torch.maximum(high, low), torch.neg(torch.select(codes, 0, 0)))
    size = self.half_scale(torch.clamp_min(step, LEAST_FULL_RANGE), half)
    turned = torch.logical_and(torch.ge(high, low), torch.gt(high, 0))
    scale = torch.where(turned, torch.neg(size), size)
    return (scale, torch.zeros_like(scale))

  def full_range(self: __torch__.Operators, x: Tensor, upper: Tensor, lower: Tensor, codes: Tensor, half: Tensor) -> Tuple[Tensor, Tensor]:
    high = torch.mul(torch.clamp_min(torch.amax(x, [-1], True), 0), upper)
    low = torch.mul(torch.clamp_max(torch.amin(x, [-1], True), 0), lower)
    step = torch.div(torch.sub(high, low), torch.select(codes, 0, 1))
    scale = self.half_scale(torch.clamp_min(step, LEAST_FULL_RANGE), half)
    exact = torch.div(torch.neg(low), scale)
    constant = torch.detach(exact)
    return (scale, torch.add(exact, torch.sub(torch.round(constant), constant)))

  def symmetric_range(self: __torch__.Operators, x: Tensor, upper: Tensor, lower: Tensor, codes: Tensor) -> Tuple[Tensor, Tensor]:
    highest = torch.select(codes, 0, 1)
    high = torch.mul(torch.amax(x, [-1], True), upper)
    low = torch.mul(torch.amin(x, [-1], True), lower)
    step = torch.div(torch.maximum(torch.abs(high), torch.abs(low)), highest)
    scale = torch.add(step, torch.eq(step, 0))
    return (scale, torch.zeros_like(scale))

  def range_with_zero(self: __torch__.Operators, x: Tensor, upper: Tensor, lower: Tensor, codes: Tensor) -> Tuple[Tensor, Tensor]:
    highest = torch.select(codes, 0, 1)
    high = torch.mul(torch.amax(x, [-1], True), upper)
    low = torch.mul(torch.amin(x, [-1], True), lower)
    high = torch.clamp_min(high, 0)
    low = torch.clamp_max(low, 0)
    step = torch.div(torch.sub(high, low), highest)
    scale = torch.add(step, torch.eq(step, 0))
    zero_point = torch.round(torch.detach(torch.div(torch.neg(low), scale)))
    return (scale, torch.minimum(torch.clamp_min(zero_point, 0), highest))

  def plain_range(self: __torch__.Operators, x: Tensor, upper: Tensor, lower: Tensor, codes: Tensor) -> Tuple[Tensor, Tensor]:
    highest = torch.select(codes, 0, 1)
    high = torch.mul(torch.amax(x, [-1], True), upper)
    low = torch.mul(torch.amin(x, [-1], True), lower)
    least = torch.mul(torch.maximum(torch.abs(high), torch.abs(low)), LEAST_STEP)
    step = torch.maximum(torch.div(torch.sub(high, low), highest), torch.detach(least))
    scale = torch.add(step, torch.eq(step, 0))
    zero_point = torch.round(torch.detach(torch.div(torch.neg(low), scale)))
    return (scale, zero_point)

  def integers_in_symmetric_range(self: __torch__.Operators, x: Tensor, upper: Tensor, lower: Tensor, codes: Tensor) -> Tensor:
    scale, zero_point, = self.symmetric_range(x, upper, lower, codes)
    return self.integers_by_divisor(x, scale, scale, zero_point, codes)

  def integers_in_range_with_zero(self: __torch__.Operators, x: Tensor, upper: Tensor, lower: Tensor, codes: Tensor) -> Tensor:
    scale, zero_point, = self.range_with_zero(x, upper, lower, codes)
    return self.integers_by_divisor(x, scale, scale, zero_point, codes)

  def integers_in_plain_range(self: __torch__.Operators, x: Tensor, upper: Tensor, lower: Tensor, codes: Tensor) -> Tensor:
    scale, zero_point, = self.plain_range(x, upper, lower, codes)
    return self.integers_by_divisor(x, scale, scale, zero_point, codes)

  def svd(self: __torch__.Operators, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    return torch.linalg_svd(x, False)

  def qr(self: __torch__.Operators, x: Tensor) -> Tuple[Tensor, Tensor]:
    return torch.linalg_qr(x)

  def eigh(self: __torch__.Operators, x: Tensor) -> Tuple[Tensor, Tensor]:
    return torch.linalg_eigh(x)

  def inverse_factor(self: __torch__.Operators, x: Tensor) -> Tuple[Tensor, Tensor]:
    lower, info, = ops.aten.linalg_cholesky_ex(torch.flip(torch.to(x, 7), [0, 1]), upper=False, check_errors=False)
    upper = torch.flip(lower, [0, 1])
    identity = torch.diag_embed(torch.ones_like(torch.diagonal(upper)))
    inverse = ops.aten.linalg_solve_triangular(upper, identity, upper=True, left=True, unitriangular=False)
    # the solver leaves columns one after the other, and windows show rows
    return (torch.contiguous(torch.to(inverse, 6)), info)

  def svdvals(self: __torch__.Operators, x: Tensor) -> Tensor:
    return torch.linalg_svdvals(x)

  def eigvalsh(self: __torch__.Operators, x: Tensor) -> Tensor:
    return torch.linalg_eigvalsh(x)
