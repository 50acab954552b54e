"""The encoders of the reference system in PyTorch, 1.13 or later: what the library is compared with, in its numbers and in its speed.

Written from the description of the architectures. The names of parameters are those of the reference's state dicts, so that weights can be
exchanged. Encoders take (batch, channels, samples); an fMRI volume is (batch, voxels, 1).
"""
import math
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F


def pooled(samples, kernel, pool, stride):
    """Samples behind a convolution without padding and a mean pooling."""
    return (samples - kernel + 1 - pool) // stride + 1


class Residual(nn.Module):
    """x + body(x). What the body is called differs from encoder to encoder."""

    def __init__(self, name, *layers):
        super().__init__()
        self.add_module(name, nn.Sequential(*layers))

    def forward(self, x):
        body, = self.children()
        return x + body(x)


def head(features, dim, name="fn", dropout=0.5):
    """Features to an embedding: linear, a residual block, layer normalisation."""
    return [nn.Linear(features, dim), Residual(name, nn.GELU(), nn.Linear(dim, dim), nn.Dropout(dropout)), nn.LayerNorm(dim)]


def attend(q, k, v, heads, scale, dropout):
    """softmax(q k' scale) v in each head; q, k, v: (batch, tokens, heads x size)."""
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    weights = dropout(torch.softmax(q @ k.transpose(2, 3) * scale, dim=-1))
    return (weights @ v).transpose(1, 2).flatten(2)


def pooled_first(channels, maps, kernel, pool, stride):
    """NICE's temporal-spatial convolution: the pooling stands before the first normalisation."""
    return [nn.Conv2d(1, maps, (1, kernel)), nn.AvgPool2d((1, pool), (1, stride)), nn.BatchNorm2d(maps), nn.ELU(),
            nn.Conv2d(maps, maps, (channels, 1)), nn.BatchNorm2d(maps), nn.ELU(), nn.Dropout(0.5)]


def pooled_last(channels, maps, kernel, pool, stride, dropout):
    """ShallowNet's (Schirrmeister et al. 2017): one normalisation behind both convolutions, then the pooling."""
    return [nn.Conv2d(1, maps, (1, kernel)), nn.Conv2d(maps, maps, (channels, 1)), nn.BatchNorm2d(maps), nn.ELU(),
            nn.AvgPool2d((1, pool), (1, stride)), nn.Dropout(dropout)]


class Patches(nn.Module):
    """A temporal-spatial convolution and a projection: tokens (batch, time, maps)."""

    def __init__(self, name, layers, maps):
        super().__init__()
        self.add_module(name, nn.Sequential(*layers))
        self.projection = nn.Sequential(nn.Conv2d(maps, maps, 1))

    def forward(self, x):
        convolution, projection = self.children()
        return projection(convolution(x.unsqueeze(1))).squeeze(2).transpose(1, 2)


class NICE(nn.Module):
    """Song et al., ICLR 2024."""

    def __init__(self, channels, samples, dim, maps=40, kernel=25, pool=51, stride=5):
        super().__init__()
        self.features = dim
        self.encoder = nn.Sequential(Patches("tsconv", pooled_first(channels, maps, kernel, pool, stride), maps), nn.Flatten())
        self.projector = nn.Sequential(*head(maps * pooled(samples, kernel, pool, stride), dim))

    def forward(self, x):
        return self.projector(self.encoder(x))


class EEGNet(nn.Module):
    """Lawhern et al. 2018, without limits on the norms of its filters and with biases everywhere. Even kernels: one zero more on the right."""

    def __init__(self, channels, samples, dim, filters=8, depth=2, kernel=64, separable=16):
        super().__init__()
        maps = filters * depth
        self.features = maps * (samples // 4 // 8)

        def padding(length):
            return nn.ZeroPad2d(((length - 1) // 2, length // 2, 0, 0))

        self.model = nn.Sequential(OrderedDict(
            pad1=padding(kernel), conv1=nn.Conv2d(1, filters, (1, kernel)), bn1=nn.BatchNorm2d(filters),
            conv2=nn.Conv2d(filters, maps, (channels, 1), groups=filters), bn2=nn.BatchNorm2d(maps),
            elu1=nn.ELU(), pool1=nn.AvgPool2d((1, 4)), drop1=nn.Dropout(0.5),
            pad2=padding(separable), conv3=nn.Conv2d(maps, maps, (1, separable), groups=maps),
            conv4=nn.Conv2d(maps, maps, 1), bn3=nn.BatchNorm2d(maps), elu2=nn.ELU(), pool2=nn.AvgPool2d((1, 8)), drop2=nn.Dropout(0.5)))

    def forward(self, x):
        return self.model(x.unsqueeze(1)).flatten(1)


class ConformerAttention(nn.Module):
    """Scores are divided by the root of the whole width, not of a head's."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.keys, self.queries, self.values, self.projection = (nn.Linear(width, width) for _ in range(4))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        return self.projection(attend(self.queries(x), self.keys(x), self.values(x), self.heads, x.shape[2] ** -0.5, self.dropout))


class EEGConformer(nn.Module):
    """Song et al. 2023: tokens of a convolution, transformer blocks without positions, a bottleneck of 32, and a log-softmax over `classes`."""

    def __init__(self, channels, samples, dim, maps=40, kernel=10, pool=25, stride=5, depth=2, heads=1, classes=1024):
        super().__init__()
        self.features = classes
        self.patch_embedding = Patches("shallownet", pooled_last(channels, maps, kernel, pool, stride, 0.25), maps)
        self.transformer = nn.Sequential(*(nn.Sequential(
            Residual("fn", nn.LayerNorm(maps), ConformerAttention(maps, heads), nn.Dropout(0.5)),
            Residual("fn", nn.LayerNorm(maps),
                     nn.Sequential(nn.Linear(maps, 4 * maps), nn.GELU(), nn.Dropout(0.5), nn.Linear(4 * maps, maps)), nn.Dropout(0.5)),
        ) for _ in range(depth)))
        tokens = pooled(samples, kernel, pool, stride)
        self.fc = nn.Sequential(OrderedDict(fc=nn.Sequential(
            nn.Linear(tokens * maps, 256), nn.ELU(), nn.Dropout(0.5), nn.Linear(256, 32), nn.ELU(), nn.Dropout(0.3))))
        self.final_layer = nn.Sequential(OrderedDict(final_layer=nn.Sequential(nn.Linear(32, classes), nn.LogSoftmax(dim=1))))

    def forward(self, x):
        return self.final_layer(self.fc(self.transformer(self.patch_embedding(x)).flatten(1)))


class SubjectToken(nn.Module):
    """One token for each person, and a shared one that the whole batch gets as soon as one person of it is unknown."""

    def __init__(self, people, width):
        super().__init__()
        self.subject_embedding = nn.Embedding(people, width)
        self.shared_embedding = nn.Parameter(torch.randn(1, width))
        self.mask_embedding = nn.Parameter(torch.randn(1, width))  # never read

    def forward(self, batch, subjects):
        if subjects is None or (subjects >= self.subject_embedding.num_embeddings).any():
            return self.shared_embedding.expand(batch, 1, -1)
        return self.subject_embedding(subjects).unsqueeze(1)


class ATMEmbedding(nn.Module):
    """Each channel becomes a token by one linear layer over time; the token of the person stands before them."""

    def __init__(self, samples, people):
        super().__init__()
        self.value_embedding = nn.Linear(samples, samples)
        self.subject_embedding = SubjectToken(people, samples)
        self.mask_token = nn.Parameter(torch.randn(1, samples))  # this and the next are never read
        self.temporal_embedding = nn.Sequential(OrderedDict(embed=nn.Linear(4, samples, bias=False)))
        self.dropout = nn.Dropout(0.25)

    def forward(self, x, subjects):
        return self.dropout(torch.cat([self.subject_embedding(len(x), subjects), self.value_embedding(x)], dim=1))


class ATMAttention(nn.Module):
    """Heads of samples // heads, so that their sum may be shorter than a token."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, size = heads, width // heads
        self.scale = 1 / math.sqrt(size)
        self.query_projection, self.key_projection, self.value_projection = (nn.Linear(width, size * heads) for _ in range(3))
        self.out_projection = nn.Linear(size * heads, width)
        self.dropout = nn.Dropout(0.25)

    def forward(self, x):
        return self.out_projection(attend(self.query_projection(x), self.key_projection(x), self.value_projection(x), self.heads, self.scale, self.dropout))


class ATMLayer(nn.Module):
    """A transformer layer that normalises behind its parts."""

    def __init__(self, width, heads, hidden):
        super().__init__()
        self.attention = ATMAttention(width, heads)
        self.conv1, self.conv2 = nn.Conv1d(width, hidden, 1), nn.Conv1d(hidden, width, 1)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(0.25)

    def forward(self, x):
        x = self.norm1(x + self.dropout(self.attention(x)))
        hidden = self.dropout(F.gelu(self.conv1(x.transpose(1, 2))))
        return self.norm2(x + self.dropout(self.conv2(hidden)).transpose(1, 2))


class ATMEncoder(nn.Module):
    def __init__(self, samples, heads, layers, hidden, people):
        super().__init__()
        self.enc_embedding = ATMEmbedding(samples, people)
        self.encoder = nn.Sequential(OrderedDict(
            attn_layers=nn.Sequential(*(ATMLayer(samples, heads, hidden) for _ in range(layers))), norm=nn.LayerNorm(samples)))

    def forward(self, x, subjects):
        return self.encoder(self.enc_embedding(x, subjects))


class ATMS(nn.Module):
    """ATM-S (Li et al., NeurIPS 2024): a transformer over channels, then NICE. Of the tokens it keeps the first `channels`: the person's stays, the last
    channel is dropped."""

    def __init__(self, channels, samples, dim, heads=4, layers=1, hidden=256, people=10, maps=40, kernel=25, pool=51, stride=5):
        super().__init__()
        self.features = dim
        self.encoder = ATMEncoder(samples, heads, layers, hidden, people)
        self.enc_eeg = nn.Sequential(Patches("tsconv", pooled_first(channels, maps, kernel, pool, stride), maps), nn.Flatten())
        self.proj_eeg = nn.Sequential(*head(maps * pooled(samples, kernel, pool, stride), dim))

    def forward(self, x, subjects=None):
        return self.proj_eeg(self.enc_eeg(self.encoder(x, subjects)[:, :x.shape[1]]))


class ResBlock1d(nn.Module):
    """Takes and gives (main path, skip path); the sum of both, before normalisation, is the next skip path."""

    def __init__(self, n_in, n_out, stride, kernel):
        super().__init__()
        self.conv1 = nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm1d(n_out)
        self.conv2 = nn.Conv1d(n_out, n_out, kernel, stride, padding=(kernel - stride + 1) // 2, bias=False)
        self.bn2 = nn.BatchNorm1d(n_out)
        self.skip_connection = nn.Sequential(*[nn.MaxPool1d(stride)] * (stride > 1), *[nn.Conv1d(n_in, n_out, 1, bias=False)] * (n_in != n_out))
        self.dropout = nn.Dropout(0.5)

    def forward(self, paths):
        x, skip = paths
        x = self.conv2(self.dropout(F.relu(self.bn1(self.conv1(x))))) + self.skip_connection(skip)
        return self.dropout(F.relu(self.bn2(x))), x


class ResNet1d(nn.Module):
    """Lima et al. 2021. No rectifier behind the first normalisation; samples must be a multiple of 2 to the number of halvings."""

    def __init__(self, channels, samples, dim, filters=(64, 128, 196, 256, 320), kernel=17):
        super().__init__()
        self.features = filters[-1] * (samples >> len(filters) - 1)
        self.conv1 = nn.Conv1d(channels, filters[0], kernel, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm1d(filters[0])
        self.blocks = []
        for i, n in enumerate(filters):
            self.blocks.append(f"resblock1d_{i}")
            self.add_module(self.blocks[-1], ResBlock1d(filters[max(i - 1, 0)], n, 2 if i else 1, kernel))

    def forward(self, x):
        x = self.bn1(self.conv1(x))
        paths = x, x
        for name in self.blocks:
            paths = getattr(self, name)(paths)
        return paths[0].flatten(1)


class LSTM(nn.Module):
    """The last hidden state, a linear layer, a rectifier. The reference starts from random states; this starts from zero."""

    def __init__(self, channels, samples, dim, hidden=128, layers=1, outputs=128):
        super().__init__()
        self.features = outputs
        self.lstm = nn.LSTM(channels, hidden, layers, batch_first=True)
        self.output = nn.Linear(hidden, outputs)

    def forward(self, x):
        return F.relu(self.output(self.lstm(x.transpose(1, 2))[1][0][-1]))


class BrainMLP(nn.Module):
    """The residual perceptron of MindEye (Scotti et al. 2023) for fMRI. A block adds the output of the block before it."""

    def __init__(self, channels, samples, dim, hidden=4096, blocks=4):
        super().__init__()

        def block(n, dropout):
            return nn.Sequential(nn.Linear(n, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout))

        self.features = dim
        self.lin0 = block(channels * samples, 0.5)
        self.mlp = nn.ModuleList(block(hidden, 0.15) for _ in range(blocks))
        self.lin1 = nn.Linear(hidden, dim)

    def forward(self, x):
        x = self.lin0(x.flatten(1))
        for block in self.mlp:
            x = x + block(x)
        return self.lin1(x)


class BrainEncoder(nn.Module):
    """The reference puts one more linear layer behind every backbone."""

    def __init__(self, backbone, dim):
        super().__init__()
        self.brain_backbone = backbone
        self.repr_layer = nn.Linear(backbone.features, dim)

    def forward(self, x, subjects=None):
        return self.repr_layer(self.brain_backbone(x) if subjects is None else self.brain_backbone(x, subjects))


class EEGProject(nn.Module):
    """A head on the raw trial. This and the two below stand alone, without repr_layer, and carry a temperature that no forward pass reads."""

    def __init__(self, channels, samples, dim):
        super().__init__()
        self.model = nn.Sequential(*head(channels * samples, dim, "f", dropout=0.3))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, x):
        return self.model(x.flatten(1))


class Convolutional(nn.Module):
    """A convolutional backbone and a head; here the time of a map runs fastest."""

    def __init__(self, backbone, features, dim):
        super().__init__()
        self.backbone = backbone
        self.project = nn.Sequential(nn.Flatten(), *head(features, dim, "f"))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, x):
        return self.project(self.backbone(x.unsqueeze(1)))


class Shallow(Convolutional):
    def __init__(self, channels, samples, dim, maps=40, kernel=25, pool=51, stride=5):
        layers = pooled_last(channels, maps, kernel, pool, stride, 0.5)
        super().__init__(nn.Sequential(*layers), maps * pooled(samples, kernel, pool, stride), dim)


class TSConv(Convolutional):
    def __init__(self, channels, samples, dim, maps=40, kernel=25, pool=51, stride=5):
        layers = pooled_first(channels, maps, kernel, pool, stride)
        super().__init__(nn.Sequential(*layers), maps * pooled(samples, kernel, pool, stride), dim)


BACKBONES = {"nice": NICE, "eegnet": EEGNet, "eegconformer": EEGConformer, "atms": ATMS, "resnet1d": ResNet1d, "lstm": LSTM, "brain-mlp": BrainMLP}
WHOLE = {"eegproject": EEGProject, "shallow": Shallow, "tsconv": TSConv}


def build(kind, channels, samples, dim, **sizes):
    """The encoder `kind` as the reference has it, with initial weights; `sizes` are arguments of its class."""
    if kind in WHOLE:
        return WHOLE[kind](channels, samples, dim, **sizes)
    return BrainEncoder(BACKBONES[kind](channels, samples, dim, **sizes), dim)


def without_dropout(model):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model
