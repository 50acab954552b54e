"""Losses between brain embeddings v and image embeddings z in PyTorch, row i of one the partner of row i of the other."""
import torch
from torch.nn import functional as F


def normalised(x):
    """Rows minus their mean, of length 1: products of rows are correlations."""
    return F.normalize(x - x.mean(dim=1, keepdim=True), dim=1)


def similarities(v, z, temperature):
    return normalised(v) @ normalised(z).T / temperature


def cross_entropy(logits, rows, columns=None):
    """Mean of both directions, each against its own targets; columns None = the transposed rows. Targets are classes or probabilities."""
    columns = rows.T if columns is None else columns
    return (F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, columns)) / 2


def clip(v, z, temperature=0.04):
    """Symmetric InfoNCE: row i of v belongs to row i of z."""
    partners = torch.arange(len(v), device=v.device)
    return cross_entropy(similarities(v, z, temperature), partners, partners)


def softclip(v, z, temperature=0.04):
    """The targets of a row are the softmax of the similarities between images; both directions have the same."""
    targets = torch.softmax(similarities(z, z, temperature), dim=1)
    return cross_entropy(similarities(v, z, temperature), targets, targets)


def mixco_nce(v, z, perm, betas, temperature=0.1):
    """For trials mixed as betas x + (1 - betas) x[perm]. Where perm keeps a trial in place, 1 - beta overwrites beta."""
    i = torch.arange(len(v), device=v.device)
    targets = torch.diag(betas)
    targets[i, perm] = 1 - betas
    return cross_entropy(similarities(v, z, temperature), targets)


def multi_positive(v, z, images, temperature=0.04):
    """Every trial with the same image is a right partner."""
    same = (images[:, None] == images[None, :]).to(v.dtype)
    targets = same / same.sum(dim=1, keepdim=True)
    return cross_entropy(similarities(v, z, temperature), targets, targets)


def siglip(v, z, temperature=0.1, bias=-10.0):
    """Every pair is a yes-or-no question of its own (Zhai et al. 2023)."""
    logits = similarities(v, z, temperature) + bias
    signs = 2 * torch.eye(len(v), dtype=v.dtype, device=v.device) - 1
    return -F.logsigmoid(signs * logits).sum() / len(v)


def mse(v, z):
    return F.mse_loss(v, z)


def cosine(v, z):
    return (1 - F.cosine_similarity(v, z, dim=1)).mean()
