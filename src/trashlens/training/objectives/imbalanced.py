"""Losses for classes of very different frequency: focal loss, and F1 of soft counts."""

from torch import Tensor

__all__ = ["f1_loss", "focal_losses"]


def focal_losses(logits: Tensor, shares: Tensor, gamma: float) -> Tensor:
    """Return each photo's focal loss [B] for logits [B, classes] and label shares [B, classes].

    It is - sum over the classes of share · (1 - p)^gamma · log p (Lin et al. 2017, equation 4; alpha is the class
    weight, which the caller applies): what a network is sure of and right about counts little. With gamma 0 it is
    cross entropy.
    """
    log_p = logits.log_softmax(dim=1)
    # 1 - p is 0 where a network is sure, and the power of 0 has no gradient below gamma 1.
    missing = (1 - log_p.exp()).clamp(min=1e-7)
    return -(shares * missing**gamma * log_p).sum(dim=1)


def f1_loss(logits: Tensor, shares: Tensor) -> Tensor:
    """Return 1 - macro F1 of soft counts, in 0..1, for logits [B, classes] and label shares [B, classes].

    Counts are sums of probabilities instead of answers, so that there is a gradient (Pastor-Pellicer et al. 2013,
    "F-measure as the error function to train neural networks"; for many classes Bénédict et al. 2021): F1 of a
    class is 2 · sum of p · share / (sum of p + sum of shares), sums over the photos. The mean is over the classes
    that the batch has: another one's F1 is 0 whatever the answers are, and what they wrongly give to it is
    missing from their own class already. Shares must not be smoothed: a batch would seem to have all classes.
    """
    p = logits.softmax(dim=1)
    labelled = shares.sum(dim=0)
    f1 = 2 * (p * shares).sum(dim=0) / (p.sum(dim=0) + labelled).clamp(min=1e-7)
    return 1 - f1[labelled > 0].mean()
